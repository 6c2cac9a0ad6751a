"""`coalesced gateway`: where programs that speak the OpenAI API find this node, and the token that lets them in."""

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.tables import draw_facts
from coalesced.control.errors import NoDaemonError

HOW_TO_SWITCH_ON = "off; to switch it on: coalesced start --openai-port 7780 (or port = 7780 below [openai])"


@click.group(invoke_without_command=True)
@command_options
def gateway(face: Face, /) -> None:
    """Where OpenAI clients find this node. It listens on loopback alone, and only if a port is set."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    url = _url(face)
    file = face.paths.openai_token
    if face.as_json:
        face.print_json({"schema": "coalesced.gateway/1", "url": url, "token_file": str(file)})
        return
    facts = [("address", url or HOW_TO_SWITCH_ON), ("token", f"in {file}; {face.again('gateway token')} prints it")]
    if url:
        facts.append(("try", f'OPENAI_BASE_URL={url} OPENAI_API_KEY="$({face.again("gateway token")})" your-program'))
    draw_facts(facts, face.out)


@gateway.command()
@click.option("--new", is_flag=True, help="Make a new one; the old one is no longer let in.")
@command_options
def token(face: Face, /, new: bool) -> None:
    """Print the bearer token: whoever has it spends this node's money."""
    from coalesced.gateway.openai.token import ensure_token, write_token
    from coalesced.paths import make_private
    from node.errors import NodeError

    file = face.paths.openai_token
    try:
        make_private(file.parent)
        found = write_token(file) if new else ensure_token(file)
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error
    except OSError as error:
        raise CliError(f"cannot write {file}: {error.strerror}") from error
    if face.as_json:
        face.print_json({"schema": "coalesced.gateway-token/1", "token": found})
    else:
        face.say(found)


def _url(face: Face) -> str:
    """Where the daemon serves OpenAI clients, or would once it is started; empty when that is off."""
    from coalesced.config import ConfigError, Source, load

    try:
        return face.run(lambda client: client.status())["openai_url"]
    except NoDaemonError:
        pass
    try:
        port = load(Source.here(face.home)).openai.port
        return f"http://127.0.0.1:{port}/v1" if port else ""
    except ConfigError as error:
        raise CliError(str(error), code=error.code, hint="coalesced config check") from error
