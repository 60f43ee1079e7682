import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES, open_rgb, quiet_pillow
from tests.support.images import draw_image
from tests.support.refusals import refusal_of

RAMP = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
"""Grey values 0..252, 8x8."""


def pixels(path):
    image = open_rgb(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def refusal(path):
    return refusal_of(open_rgb, path, begins=f"{path}: ")


def png_header(width, height):
    """A PNG of a few bytes that claims a size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_plain_image_is_read_as_it_is(tmp_path):
    path = draw_image(tmp_path / "a.jpg")
    with Image.open(path) as image:
        assert (pixels(path) == np.asarray(image)).all()


def test_grayscale_becomes_three_equal_channels(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "g.png")
    assert (pixels(tmp_path / "g.png") == RAMP[..., None]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("lower_bits", [0, 1, 255])
def test_of_sixteen_bits_the_upper_eight_count(tmp_path, suffix, lower_bits):
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(RAMP.astype(np.uint16) * 256 + lower_bits).save(path)
    with Image.open(path) as image:
        assert image.mode.startswith("I")
    assert (pixels(path) == RAMP[..., None]).all()


def test_thirty_two_bit_values_are_read_as_sixteen_and_clipped(tmp_path):
    values = RAMP.astype(np.int32) * 256
    values[0, 0], values[7, 7] = -5, 10**6
    Image.fromarray(values).save(tmp_path / "i.tif")
    found = pixels(tmp_path / "i.tif")[..., 0]
    assert found[0, 0] == 0 and found[7, 7] == 255
    assert (found.flatten()[1:-1] == RAMP.flatten()[1:-1]).all()


def test_one_bit_images_are_black_and_white(tmp_path):
    Image.fromarray(RAMP > 100).save(tmp_path / "b.png")
    assert (pixels(tmp_path / "b.png") == np.where(RAMP > 100, 255, 0)[..., None]).all()


def test_cmyk_is_converted(tmp_path):
    solid = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan: red
    solid.save(tmp_path / "c.jpg", quality=95)
    red, green, blue = pixels(tmp_path / "c.jpg").reshape(-1, 3).mean(axis=0)
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_dropped_and_the_colours_below_stay(tmp_path, mode):
    bands = [Image.fromarray(RAMP)] * (len(mode) - 1) + [Image.new("L", (8, 8), 0)]
    Image.merge(mode, bands).save(tmp_path / "t.png")
    assert (pixels(tmp_path / "t.png") == RAMP[..., None]).all()


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(64))])
def test_palettes_are_resolved_without_a_warning(tmp_path, transparency):
    image = Image.new("P", (8, 8))
    image.putpalette([value for index in range(256) for value in (index, 255 - index, index // 2)])
    image.putdata(list(range(64)))
    image.save(tmp_path / "p.png", **({} if transparency is None else {"transparency": transparency}))
    found = pixels(tmp_path / "p.png").reshape(-1, 3)
    assert (found == [(index, 255 - index, index // 2) for index in range(64)]).all()


def test_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (pixels(tmp_path / "a.gif") == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: np.swapaxes(a, 0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(np.swapaxes(a, 0, 1), 2)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, undo):
    stored = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "o.png", exif=exif)
    assert (pixels(tmp_path / "o.png") == undo(stored)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (7, 8)])
def test_a_tiny_image_is_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "tiny.png")
    assert f"{size[0]}x{size[1]} pixels is too small" in refusal(tmp_path / "tiny.png")


def test_the_smallest_image_is_taken(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    assert pixels(tmp_path / "small.png").shape == (8, 8, 3)


def test_two_hundred_megapixels_are_refused_from_the_header_alone(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(20_000, 10_000))
    assert path.stat().st_size < 100
    message = refusal(path)
    assert "more pixels than an image has" in message and "200000000" in message and "scale it down" in message


def test_a_hundred_megapixels_are_today_s_phones_and_pass_the_guard(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(png_header(12_000, 9_000))
    with quiet_pillow():  # it is the missing pixels that are refused, not the size
        assert "not a readable image" in refusal(path)
    with pytest.raises(Image.DecompressionBombWarning):  # an error in tests, a line for library users
        open_rgb(path)


def test_quiet_pillow_silences_pillow_alone():
    with quiet_pillow():
        with pytest.warns(UserWarning, match="ours"):
            warnings.warn("ours", stacklevel=1)
        with pytest.raises(UserWarning, match="ours"):
            warnings.warn("ours", stacklevel=1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    whole = tmp_path / f"whole.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    cut = tmp_path / f"cut.{suffix}"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    assert "replace or remove it" in refusal(cut)


def test_text_named_like_a_image_is_refused(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("This is not an image.")
    assert "not an image, whatever its name says" in refusal(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert "not an image" in refusal(tmp_path / "empty.jpg")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "absent.jpg: no such file." in refusal(tmp_path / "absent.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert "not a regular file but a folder; name a file." in refusal(tmp_path / "folder.jpg")


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)).save(tmp_path / "f.tif")
    assert "floating-point" in refusal(tmp_path / "f.tif")


def test_a_image_with_a_colour_profile_is_read(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "icc.png", icc_profile=profile)
    assert (pixels(tmp_path / "icc.png") == [10, 20, 30]).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tif", "webp", "bmp"])
def test_damaged_files_are_images_or_refused_and_never_anything_else(tmp_path, suffix):
    """A hundred mutants a format: whatever a decoder raises on them reaches the user as one sentence."""
    whole = tmp_path / f"whole.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    data = np.frombuffer(whole.read_bytes(), dtype=np.uint8)
    refused = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        mutant = data.copy()
        head = rng.random() < 0.7  # headers decide more than pixels
        places = rng.integers(0, min(len(mutant), 120) if head else len(mutant), rng.integers(1, 6))
        mutant[places] = rng.integers(0, 256, len(places))
        path = tmp_path / f"mutant.{suffix}"
        path.write_bytes(mutant.tobytes())
        try:
            with quiet_pillow():
                open_rgb(path)
        except InputError:
            refused += 1
    assert refused > 0


def test_the_suffixes_are_those_that_pillow_reads():
    with_plugin = {".heic", ".heif"}
    assert set(Image.registered_extensions()) | with_plugin >= IMAGE_SUFFIXES


@pytest.mark.parametrize("suffix", [".jfif", ".ppm", ".pgm", ".avif"])
def test_less_usual_formats_are_read(tmp_path, suffix):
    image = Image.new("L" if suffix == ".pgm" else "RGB", (20, 12), 200)
    image.save(tmp_path / f"a{suffix}")
    assert np.asarray(open_rgb(tmp_path / f"a{suffix}")).shape == (12, 20, 3)


def test_heic_is_read_by_its_plugin_or_says_which(tmp_path):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(InputError, match=r"not a readable image|edge-effnet\[heif\]"):
        open_rgb(path)
