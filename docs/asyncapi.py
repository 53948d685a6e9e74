"""schemas/asyncapi.json: the WebSocket protocol and the log's topics as AsyncAPI 3, from the frames and the topics.

The application described is the gateway: it receives what clients send and sends what they read.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gridsignal_schemas.catalog import TOPICS, Topic
from gridsignal_schemas.frames import (
    CLIENT_FRAMES,
    CLOSE_CODES,
    MAX_CLIENT_FRAME,
    SERVER_FRAMES,
    SUBPROTOCOL_AVRO,
    SUBPROTOCOL_JSON,
    Frame,
)
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.records import DELIVERED, RECORD_OF_FRAME, ROWS

Json = dict[str, Any]

REPLIES = {
    "hello": ["welcome"],
    "subscribe": ["subscribed"],
    "unsubscribe": ["unsubscribed"],
    "query": ["states"],
    "token": ["token_accepted"],
} | {frame: ["received", "refused"] for frame in RECORD_OF_FRAME}
"""What answers a client's frame; any of them may be answered by `error` instead."""

KNOWN_TO_THE_SESSION = {"zone", "participant", "site", *(name for row in ROWS.values() for name in row.named_by)}

AVRO = "application/vnd.apache.avro+json;version=1.9.0"
MS_PER_DAY = 86_400_000


class _JsonSchema(GenerateJsonSchema):
    """JSON Schema as the wire has it: money is text, titles say nothing new."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$"}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def document(version: str) -> Json:
    """The whole AsyncAPI document of one version of the project."""
    return {
        "asyncapi": "3.0.0",
        "info": _about(version),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {"stream": _stream(), **{topic.stream: _topic(topic) for topic in TOPICS.values()}},
        "operations": {**_received(), **_sent()},
        "components": {
            "messages": {**_frame_messages(), **_record_messages()},
            "schemas": _schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _about(version: str) -> Json:
    return {
        "title": "gridsignal",
        "version": version,
        "description": "The wire between power grids and data centers. PROTOCOL.md tells how the frames are used; "
        "both sides ignore fields they do not know, clients ignore frames they do not know.",
        "license": {"name": "Apache-2.0"},
    }


def _servers() -> Json:
    return {
        "gateway": {
            "host": "localhost:8081",
            "protocol": "ws",
            "description": "The data centers' door.",
            "security": [{"$ref": "#/components/securitySchemes/bearer"}],
        },
        "log": {
            "host": "localhost:9092",
            "protocol": "kafka",
            "description": "The log that the doors meet on; in the embedded stack a file, with the same records.",
        },
    }


def _stream() -> Json:
    names = [*CLIENT_FRAMES, *SERVER_FRAMES]
    return {
        "address": "/v1/stream",
        "description": f"One message is one frame; a client's frame has at most {MAX_CLIENT_FRAME} bytes.",
        "servers": [{"$ref": "#/servers/gateway"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-subprotocols": [SUBPROTOCOL_JSON, SUBPROTOCOL_AVRO],
        "x-close-codes": {
            str(code): {"meaning": then.meaning, "reconnect": then.reconnect, "resume": then.resume}
            for code, then in sorted(CLOSE_CODES.items())
        },
    }


def _topic(topic: Topic) -> Json:
    retention_ms = topic.retention_days * MS_PER_DAY if topic.retention_days else -1
    return {
        "address": topic.name,
        "description": "The key of every record is its zone; values are Avro in Confluent framing.",
        "servers": [{"$ref": "#/servers/log"}],
        "messages": {record: {"$ref": f"#/components/messages/{record}"} for record in topic.records},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": retention_ms},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _received() -> Json:
    return {
        name: {
            "action": "receive",
            "channel": {"$ref": "#/channels/stream"},
            "messages": [_in_stream(name)],
            "reply": {
                "channel": {"$ref": "#/channels/stream"},
                "messages": [_in_stream(answer) for answer in (*REPLIES[name], "error")],
            },
        }
        for name in CLIENT_FRAMES
    }


def _sent() -> Json:
    answers = {answer for replies in REPLIES.values() for answer in replies}
    return {
        name: {"action": "send", "channel": {"$ref": "#/channels/stream"}, "messages": [_in_stream(name)]}
        for name in SERVER_FRAMES
        if name not in answers
    }


def _in_stream(name: str) -> Json:
    return {"$ref": f"#/channels/stream/messages/{name}"}


def _frame_messages() -> Json:
    return {
        name: {"name": name, "payload": {"$ref": f"#/components/schemas/{frame.__name__}"}}
        for name, frame in {**CLIENT_FRAMES, **SERVER_FRAMES}.items()
    }


def _record_messages() -> Json:
    return {
        record: {
            "name": record,
            "contentType": "application/avro",
            "payload": {"schemaFormat": AVRO, "schema": {"$ref": f"./gridsignal_schemas/avro/{record}.avsc"}},
        }
        for topic in TOPICS.values()
        for record in topic.records
    }


def _schemas() -> Json:
    schemas: Json = {}
    for name, frame in {**CLIENT_FRAMES, **SERVER_FRAMES}.items():
        schemas[frame.__name__] = _frame_schema(name, frame, schemas)
    for record in (*DELIVERED, *RECORD_OF_FRAME.values()):
        schemas[record] = _schema(RECORDS[record], schemas)
    for record in RECORD_OF_FRAME.values():
        schemas[f"{record}Body"] = _as_sent(record, schemas[record])
    return dict(sorted(schemas.items()))


def _frame_schema(name: str, frame: type[Frame], schemas: Json) -> Json:
    schema = _schema(frame, schemas)
    schema["required"] = ["t", *schema.get("required", [])]
    if name in RECORD_OF_FRAME:
        schema["properties"]["body"] = {"$ref": f"#/components/schemas/{RECORD_OF_FRAME[name]}Body"}
    if name == "signal":
        schema["properties"]["type"]["examples"] = list(DELIVERED)
        schema["properties"]["body"] = {"anyOf": [{"$ref": f"#/components/schemas/{record}"} for record in DELIVERED]}
    return schema


def _schema(model: type[BaseModel], schemas: Json) -> Json:
    """A model's JSON Schema; what it is made of goes into `schemas`."""
    schema = model.model_json_schema(
        ref_template="#/components/schemas/{model}", schema_generator=_JsonSchema, by_alias=True
    )
    for name, part in schema.pop("$defs", {}).items():
        schemas[name] = _without_titles(part)
    bare: Json = _without_titles(schema)
    return bare


def _without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: _without_titles(part) for key, part in schema.items() if not (key == "title" and isinstance(part, str))
        }
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema


def _as_sent(record: str, schema: Json) -> Json:
    """A record as a client sends it: what the session and the frame know may be left out."""
    return schema | {
        "description": f"{record}, where what the session or the frame says may be left out: "
        + ", ".join(name for name in schema["properties"] if name in KNOWN_TO_THE_SESSION)
        + ".",
        "required": [name for name in schema["required"] if name not in KNOWN_TO_THE_SESSION],
    }


def text(version: str) -> str:
    """The document as it is committed."""
    return json.dumps(document(version), indent=2, ensure_ascii=False) + "\n"
