# SPDX-License-Identifier: Apache-2.0
"""usage: otlp_agree.py REQUEST.pb LINE.json

A second opinion on both encoders: Google's protobuf decodes the request, Python's json the line, and
they must say the same, with the rules of OTLP-JSON in between. The schema is read from
exporter/otlp.proto by protoc-c, so protobuf-c's packing is not part of this opinion."""
import base64
import json
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

IDS = ("traceId", "spanId", "parentSpanId")


def request_class(name="ExportTraceServiceRequest"):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc-c", "--proto_path=exporter", f"--descriptor_set_out={out.name}",
                        "exporter/otlp.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return factory.GetPrototype(pool.FindMessageTypeByName(f"otlp.{name}"))


def in_otlp_json(value):
    """protobuf's JSON has base64 where OTLP's has hexadecimal."""
    if isinstance(value, dict):
        return {key: base64.b64decode(part).hex() if key in IDS else in_otlp_json(part)
                for key, part in value.items()}
    return [in_otlp_json(part) for part in value] if isinstance(value, list) else value


def unique(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def main(request_path, line_path):
    packed = open(request_path, "rb").read()
    request = request_class().FromString(packed)
    assert request.SerializeToString() == packed, "not as the other encoder packs it"
    expected = in_otlp_json(json_format.MessageToDict(request, use_integers_for_enums=True))
    line = open(line_path, "rb").read().decode("utf-8")
    assert line.endswith("\n") and line.count("\n") == 1, "not one line"
    found = json.loads(line, object_pairs_hook=unique)
    assert found == expected, f"{found}\n{expected}"


if __name__ == "__main__":
    main(*sys.argv[1:])
