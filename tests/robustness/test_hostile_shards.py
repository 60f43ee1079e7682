"""Shards that others made to do harm, or that another tool wrote: all of their samples, or one sentence."""

import contextlib
import io
import os
import tarfile
import tracemalloc
import zlib

import pytest

from edge_effnet import InputError
from quant.common.progress import NoProgress
from quant.data.readers.shards import ShardImages, listed_classes, samples_of
from quant.data.source import image_folder
from tests.support.deadline import deadline
from tests.support.images import COLOURS, draw_halves, draw_image, pack_shards
from tests.support.programs import PREPROCESS

pytest.importorskip("webdataset")

END = bytes(1024)


def padded(data):
    return data + bytes(-len(data) % 512)


def member(name, data=b"", *, kind=tarfile.REGTYPE, size=None, **more):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data) if size is None else size
    for key, value in more.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + padded(data)


def samples(path, classes=COLOURS):
    """A sample a class, as (name, content)."""
    found = []
    for number, name in enumerate(classes):
        picture = draw_image(path.parent / "one.jpg", COLOURS[number % 3], seed=number)
        found += [
            (f"{number}.jpg", picture.read_bytes()),
            (f"{number}.cls", name if type(name) is bytes else name.encode()),
        ]
        picture.unlink()
    return found


@pytest.fixture
def shard(tmp_path):
    return tmp_path / "train" / "00.tar"


@pytest.fixture
def good(shard):
    shard.parent.mkdir()
    return b"".join(member(*sample) for sample in samples(shard))


def read(shard):
    """What training makes of one: (name, class) of each sample."""
    images = ShardImages([shard], class_names=None, progress=NoProgress())
    found = [(item.name.rsplit(":")[-1], images.class_names[item.label]) for item in images.items()]
    assert len(found) == len(images)
    return found


def unpack(folder):
    """What the other commands make of a folder of shards."""
    with image_folder(folder, PREPROCESS, NoProgress()):
        pass


def refused(shard, words):
    with deadline(5), pytest.raises(InputError, match=words) as caught:
        read(shard)
    assert str(caught.value).startswith(str(shard)) and "\n" not in str(caught.value)


def test_what_is_plain_is_read(shard, good):
    shard.write_bytes(good + END)
    assert read(shard) == [("0", "blue"), ("1", "green"), ("2", "red")]


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_are_those_that_webdataset_reads(shard, layout):
    """Folders, dots in their names, upper case, several pictures' parts, its own metadata, names of any length."""
    import webdataset

    shard.parent.mkdir()
    keys = ["0", "a/b/1", "v1.5/2", "./3", "ü" * (40 if layout == tarfile.USTAR_FORMAT else 300), "two words"]
    with tarfile.open(shard, "w", format=layout) as tar:
        for number, key in enumerate(keys):
            parts = {"JPG": samples(shard)[0][1], "cls": COLOURS[number % 3].encode(), "json": b"{}", "seg.png": b"x"}
            for suffix, data in parts.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size, info.mtime = len(data), 1.5
                tar.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("__note__/x.jpg")
        tar.addfile(info, io.BytesIO())
    with shard.open("rb") as stream:
        files = webdataset.tariterators.tar_file_expander([{"url": str(shard), "stream": stream}])
        expected = list(webdataset.tariterators.group_by_keys(files))
    found = [(s.key, s.class_name(), s.picture()) for s in samples_of(shard)]
    assert found == [(s["__key__"], s["cls"].decode(), s["jpg"]) for s in expected]
    assert [key for key, _, _ in found] == keys


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(shard, make):
    shard.parent.mkdir()
    make(shard)
    refused(shard, "not a regular file")


def test_a_tar_that_is_a_gzip_file_too_is_read_as_the_tar(shard, good):
    """Whoever looks for a compression sees 1f 8b: the first member's name."""
    inner = good + member("zzz.cls", size=10**9)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"\0" + packer.compress(inner) + packer.flush() + bytes(8)
    head = bytearray(member("a" * 100, size=len(body)))
    head[:10] = b"\x1f\x8b\x08\x08\x01\x01\x01\x01\x02\x03"
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    shard.write_bytes(bytes(head) + padded(body) + END)
    with pytest.raises(InputError, match="the shards hold no samples"):
        read(shard)
    shard.write_bytes(bytes(head) + padded(body) + good + END)
    assert len(read(shard)) == 3


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [("0.cls", 2000, r"0\.cls: has 2000 bytes, which is no class"), ("0.jpg", 10**12, "unexpected end of data")],
)
def test_a_member_that_is_too_large_is_named(shard, good, name, size, words):
    shard.write_bytes(good + member(name, bytes(min(size, 2000)), size=size) + END)
    refused(shard, words)


def test_members_that_nobody_needs_are_not_read(shard, good):
    shard.write_bytes(good + member("2.json", bytes(50_000_000)) + END)
    tracemalloc.start()
    try:
        assert len(read(shard)) == 3
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def sparse_by_header():
    head = bytearray(member("9.jpg", size=512, kind=tarfile.GNUTYPE_SPARSE))
    for place, number in ((386, 0), (398, 512), (483, 200_000_000)):
        head[place : place + 12] = b"%011o\0" % number
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(512)


def sparse_by_records(records):
    info = tarfile.TarInfo("9.jpg")
    info.size, info.pax_headers = 512, records
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(512)


@pytest.mark.parametrize(
    ("sparse", "words"),
    [
        (sparse_by_header(), "sparse"),
        (sparse_by_records({"GNU.sparse.size": "200000000", "GNU.sparse.numblocks": "0"}), "sparse"),
        (sparse_by_records({"GNU.sparse.map": "0,512", "GNU.sparse.size": "200000000"}), "sparse"),
        (
            sparse_by_records({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "200000000"}),
            "not a complete tar file",
        ),
    ],
)
def test_a_member_that_is_mostly_a_hole_is_refused(shard, good, sparse, words):
    shard.write_bytes(good + sparse + END)
    refused(shard, words)


@pytest.mark.parametrize(
    "kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE]
)
def test_three_thousand_headers_before_a_member_are_a_sentence_or_harmless(shard, good, kind):
    data = {tarfile.XHDTYPE: b"12 path=a.b\n", tarfile.XGLTYPE: b"12 path=a.b\n"}.get(kind, b"a\0")
    shard.write_bytes(member("././@LongLink", data, kind=kind) * 3000 + good + END)
    with deadline(5), contextlib.suppress(InputError):
        read(shard)


@pytest.mark.parametrize("records", [b"0 path=a\n", b"1" * 5000 + b" path=a\n"])
def test_a_broken_extended_header_is_refused(shard, good, records):
    shard.write_bytes(good + member("x", records, kind=tarfile.XHDTYPE) + member("9.jpg") + END)
    refused(shard, "not a complete tar file")


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_headers_have_no_room_for_are_read(shard, layout):
    shard.parent.mkdir()
    deep = "d/" * 60 if layout == tarfile.USTAR_FORMAT else "Zürich " * 40 + "/"
    with tarfile.open(shard, "w", format=layout) as tar:
        for name, data in samples(shard):
            info = tarfile.TarInfo(deep + name)
            info.size, info.mtime = len(data), 1.5
            tar.addfile(info, io.BytesIO(data))
    assert [name for name, _ in read(shard)] == [(deep + str(i))[-80:] for i in range(3)]


def test_a_size_in_an_extended_header_counts(shard):
    shard.parent.mkdir()
    parts = []
    for name, data in samples(shard):
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = 0, {"size": str(len(data))}
        parts.append(info.tobuf(tarfile.PAX_FORMAT) + padded(data))
    shard.write_bytes(b"".join(parts) + END)
    assert len(read(shard)) == 3


@pytest.mark.parametrize(
    "kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_members_that_are_no_files_do_not_count(shard, good, kind):
    shard.write_bytes(member("9.jpg", kind=kind, linkname="/etc/passwd") + good + END)
    assert len(read(shard)) == 3


def test_a_shard_that_was_cut_anywhere_is_refused(shard, good):
    for length in range(0, len(good) + 512, 512):
        shard.write_bytes((good + END)[:length])
        refused(shard, "not a complete tar file")
    zeros = member("9.jpg", bytes(2048))
    shard.write_bytes(good + zeros)
    refused(shard, "not a complete tar file")


def test_a_second_tar_file_behind_the_end_is_not_lost_in_silence(shard, good):
    shard.write_bytes(good + END + good + END)
    refused(shard, "continues after its end")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"blue\0x", "not one line of text"),
        (b"blue\x1b[2J", "not one line of text"),
        (b"two\nlines", "not one line of text"),
        (b"\xff", "no readable .cls entry"),
        (b"b" * 1100, "which is no class"),
    ],
)
def test_a_class_name_that_is_none_is_refused_with_its_member(shard, name, words):
    shard.parent.mkdir()
    shard.write_bytes(b"".join(member(*sample) for sample in samples(shard, ["red", name])) + END)
    refused(shard, rf"00\.tar.*1.*{words}")


@pytest.mark.parametrize("name", [".blue", "a/b", "..", "b" * 300, "ü" * 128])
def test_a_class_that_cannot_be_a_folder_is_named_with_its_member(tmp_path, name):
    images = pack_shards(draw_halves(tmp_path / "photos", train=1, val=1), tmp_path / "shards")
    path = images / "train" / "00.tar"
    path.write_bytes(b"".join(member(*sample) for sample in samples(path, ["red", name])) + END)
    with pytest.raises(InputError, match=r"train/00\.tar:1\.cls: class name .* cannot be the name of a folder"):
        unpack(images)
    assert not list(tmp_path.rglob("*.jpeg"))


def test_a_list_of_classes_is_a_file_of_a_sane_size_and_of_lines_of_text(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("blue\ngreen\n")
    assert listed_classes(tmp_path) == ("blue", "green")
    path.write_text("blue\x1b[2J\n")
    with pytest.raises(InputError, match=r"classes\.txt: .* not one line of text"):
        listed_classes(tmp_path)
    os.truncate(path, 2 << 30)
    with deadline(1), pytest.raises(InputError, match=r"classes\.txt: has 2147483648 bytes"):
        listed_classes(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with deadline(1), pytest.raises(InputError, match=r"classes\.txt: not a regular file"):
        listed_classes(tmp_path)


def test_a_picture_that_bursts_is_named(tmp_path):
    """A compressed comment of 100 MB, which Pillow refuses with another kind of error where it is looked at."""
    text = zlib.compress(bytes(100_000_000), 9)
    images = pack_shards(draw_halves(tmp_path / "photos", train=1, val=1), tmp_path / "shards")
    path = images / "val" / "00.tar"
    chunk = b"zTXt" + b"Comment\0\0" + text
    header = b"IHDR" + (16).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        (len(part) - 4).to_bytes(4) + part + zlib.crc32(part).to_bytes(4) for part in (header, chunk)
    )
    with tarfile.open(path) as tar:
        entries = [(info.name, tar.extractfile(info).read()) for info in tar]
    path.write_bytes(b"".join(member(n, png if n == "0001.jpg" else d) for n, d in entries) + END)
    with pytest.raises(InputError, match=r"00\.tar:0001: not a readable image"):
        unpack(images)
