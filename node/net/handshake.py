"""The handshake of protocol/handshake.py over a frame stream. Time limits are the caller's."""

from node.net.transport import FrameStream
from protocol.channel import Channel
from protocol.errors import RemoteProtocolError
from protocol.handshake import HelloMismatchError, Initiator, Opening, Responder


async def initiate(stream: FrameStream, opening: Opening, expected_key: bytes) -> Channel:
    """Open a channel to the peer with `expected_key`.

    RemoteProtocolError when the peer is another or breaks the handshake, StreamClosed when it leaves.
    """
    initiator = Initiator(opening, expected_key)
    await stream.send(initiator.first_frame())
    last, channel = initiator.read_reply(bytes(await stream.receive()))
    await stream.send(last)
    return channel


async def respond(stream: FrameStream, opening: Opening) -> Channel:
    """Open a channel to whoever dialled and proves an identity; the errors of `initiate`."""
    responder = Responder(opening)
    try:
        reply = responder.read_first(bytes(await stream.receive()))
    except HelloMismatchError as error:
        # So that its owner, too, reads which versions and networks met.
        await stream.send(error.reply)
        raise RemoteProtocolError(error.code, error.text) from error
    await stream.send(reply)
    return responder.read_last(bytes(await stream.receive()))
