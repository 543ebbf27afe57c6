#!/usr/bin/env python3
"""flatc_round_trip.py - flatc reads our golden messages as JSON and writes them back as messages that we read.

Usage:     flatc_round_trip.py FLATC CODEC_VECTORS SCHEMA VECTORS
Steps:     per vector: our bytes -> flatc --json -> compare a few members -> flatc --binary -> our decoder -> our JSON,
           which must be the vector's JSON line.
Non-goals: comparing bytes with flatc's: its layout is another one, with the same content.
"""
import json
import pathlib
import subprocess
import sys
import tempfile


def read_vectors(path):
    vectors, current = [], None
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(" ")
        if key == "vector":
            current = {"vector": value}
            vectors.append(current)
        elif current is not None and value and not line.startswith("#"):
            current[key] = value
    return vectors


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout


def compare(vector, message):
    """Members that flatc prints under the schema's names. It leaves out what has its default value."""
    name = vector["vector"]
    for key in ("exchange", "symbol"):
        assert message[key] == vector[key], (name, key)
    for key, ours in (("seq", "seq"), ("prev_seq", "prev_seq"), ("timestamp_ns", "venue_ns"), ("recv_ns", "recv_ns")):
        assert int(message.get(key, 0)) == int(vector.get(ours, 0)), (name, key)
    types = ("Book", "WideBook") if vector["kind"] == "book" else (vector["kind"].capitalize(),)
    assert message["data_type"] in types, name
    data = message["data"]
    if vector["kind"] == "trade":
        exponent = data.get("price_exponent", 0)
        digits = vector["price"].replace(".", "")
        assert data.get("price", 0) == int(digits) and exponent == -len(vector["price"].partition(".")[2]), name
        assert data.get("id", "") == vector.get("id", ""), name


def main():
    flatc, codec_vectors, schema, path = sys.argv[1:]
    vectors = read_vectors(path)
    with tempfile.TemporaryDirectory() as folder:
        for vector in vectors:
            binary = pathlib.Path(folder, "message.bin")
            text = pathlib.Path(folder, "message.json")
            binary.write_bytes(bytes.fromhex(vector["flatbuffers"]))
            run(flatc, "--json", "--strict-json", "--defaults-json", "-o", folder, schema, "--", binary)
            compare(vector, json.loads(text.read_text(encoding="utf-8")))
            binary.unlink()
            run(flatc, "--binary", "-o", folder, schema, text)
            ours = run(codec_vectors, "--json", binary).rstrip("\n")
            assert ours == vector["json"], (vector["vector"], ours)
    print(f"{len(vectors)} vectors through flatc and back")


if __name__ == "__main__":
    main()
