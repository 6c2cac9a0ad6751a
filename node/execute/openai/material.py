"""What the checks of an answer look at: a task's documents, its wording, and the text of an answer."""

from typing import Final

import msgspec

from node.execute.envelope import Envelope, File, decode_own_or_envelope
from node.execute.errors import InputError
from node.execute.openai.offer import is_chat
from node.execute.openai.reply import ChatResult
from node.execute.openai.request import CHAT_EXAMPLE, ChatRequest, JsonSchema, ResponseFormat
from node.execute.skill import JSON, TEXT
from node.tasks.content import Content
from node.verification.material import Document, text_of

ASKED: Final = "Answer with JSON alone, without a word around it, that fits this JSON Schema:"


def documents_of(work: Content) -> tuple[Document, ...]:
    """The texts that an input gives to work on: its files; where there are none, its text or its messages."""
    found = _read(work)
    match found:
        case Envelope(files=files) if files:
            return tuple(_document(file) for file in files)
        case Envelope(text=text):
            return (Document("", text),)
        case ChatRequest(messages=messages):
            return tuple(Document("", message.text) for message in messages if message.role != "assistant")
        case None:
            return (Document("", text_of(work)),)


def wording_of(work: Content) -> str:
    """A task in words, as a judge reads it."""
    found = _read(work)
    match found:
        case Envelope(text=text, files=files):
            return "\n\n".join((text, *(f"--- {file.name} ---\n{_document(file).text}" for file in files)))
        case ChatRequest(messages=messages):
            return "\n\n".join(f"{message.role}: {message.text}" for message in messages)
        case None:
            return text_of(work)


def answer_of(skill: str, result: Content) -> str:
    """The text of an answer: of a chat that was asked for in JSON, what the model said."""
    if is_chat(skill) and result.media_type == JSON:
        try:
            return msgspec.json.decode(result.data, type=ChatResult).content
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return text_of(result)
    return text_of(result)


def schema_in(work: Content) -> str:
    """The text of the schema that a chat itself asks its answer to fit; "" where it asks for none."""
    found = _read(work)
    return schema_of(found.response_format) if isinstance(found, ChatRequest) else ""


def schema_of(wanted: ResponseFormat | None) -> str:
    """The text of the schema of a form; "" where it asks for none."""
    if wanted is None or wanted.type == "text":
        return ""
    if wanted.type == "json_object" or wanted.json_schema is None:
        return '{"type": "object"}'
    return msgspec.json.encode(wanted.json_schema.schema).decode()


def asking_for(skill: str, work: Content, schema: str) -> Content:
    """The same task of a model, which is told what its answer must fit; any other skill has a form of its own."""
    if not is_chat(skill):
        return work
    told = f"{ASKED}\n{schema}"
    found = _read(work)
    match found:
        case Envelope(text=text, files=()):
            return Content(TEXT, f"{text}\n\n{told}".encode())
        case Envelope(text=text):
            said = f"{text}\n\n{told}" if text else told
            return Content(JSON, msgspec.json.encode(msgspec.structs.replace(found, text=said)))
        case ChatRequest(response_format=None):
            form = ResponseFormat(
                type="json_schema", json_schema=JsonSchema(name="answer", schema=msgspec.json.decode(schema))
            )
            return Content(JSON, msgspec.json.encode(msgspec.structs.replace(found, response_format=form)))
        case _:
            return work


def part_of(work: Content, name: str) -> Content | None:
    """The same task about one of its files alone; None where there is no such file."""
    found = _read(work)
    if not isinstance(found, Envelope):
        return None
    files = tuple(file for file in found.files if file.name == name)
    return Content(JSON, msgspec.json.encode(msgspec.structs.replace(found, files=files))) if files else None


def _read(work: Content) -> ChatRequest | Envelope | None:
    try:
        return decode_own_or_envelope(ChatRequest, work.data, work.media_type, example=CHAT_EXAMPLE)
    except InputError:
        return None


def _document(file: File) -> Document:
    try:
        return Document(file.name, file.as_text())
    except InputError:
        return Document(file.name, "")
