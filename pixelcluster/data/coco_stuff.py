"""COCO-Stuff in the per-pixel protocol of IIC: 182 fine labels read from disk, 3 or 15 classes to score.

Source: Caesar, Uijlings, Ferrari, COCO-Stuff, CVPR 2018 (labels); Ji, Henriques, Vedaldi, Invariant
information clustering, ICCV 2019 (classes, image lists, preprocessing: shrink 0.33, centre crop of 128 px).

Deviation: methods train on the centre crops too, where the protocol crops the shrunk images at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pixelcluster.data.crops import centre_crop, shrink_image, shrink_labels
from pixelcluster.data.files import images_by_stem, read_label_png, read_stems
from pixelcluster.data.labelled import IGNORE, LabelledImage, labels_by_stem, pngs_by_stem, same_size
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import read_image

SHRINK = 0.33
CROP = 128
N_FINE = 182
RULE_SIDE = 360
RULE_SHARE = 0.75

# The 27 coarse classes in the order of IIC with their fine ids (category id - 1); the first 12 are things.
COARSE: dict[str, tuple[int, ...]] = {
    "electronic-things": (71, 72, 73, 74, 75, 76),
    "appliance-things": (77, 78, 79, 80, 81, 82),
    "food-things": (51, 52, 53, 54, 55, 56, 57, 58, 59, 60),
    "furniture-things": (61, 62, 63, 64, 65, 66, 67, 68, 69, 70),
    "indoor-things": (83, 84, 85, 86, 87, 88, 89, 90),
    "kitchen-things": (43, 44, 45, 46, 47, 48, 49, 50),
    "accessory-things": (25, 26, 27, 28, 29, 30, 31, 32),
    "animal-things": (15, 16, 17, 18, 19, 20, 21, 22, 23, 24),
    "outdoor-things": (9, 10, 11, 12, 13, 14),
    "person-things": (0,),
    "sports-things": (33, 34, 35, 36, 37, 38, 39, 40, 41, 42),
    "vehicle-things": (1, 2, 3, 4, 5, 6, 7, 8),
    "ceiling-stuff": (101, 102),
    "floor-stuff": (100, 113, 114, 115, 116, 117),
    "food-stuff": (120, 121, 152, 169),
    "furniture-stuff": (97, 106, 107, 109, 111, 122, 129, 132, 155, 160, 164),
    "rawmaterial-stuff": (99, 131, 138, 142),
    "textile-stuff": (91, 92, 103, 104, 108, 130, 136, 140, 151, 166, 167),
    "wall-stuff": (170, 171, 172, 173, 174, 175, 176),
    "window-stuff": (179, 180),
    "building-stuff": (94, 95, 127, 150, 157, 165),
    "ground-stuff": (110, 124, 125, 135, 139, 143, 144, 146, 148, 153, 158),
    "plant-stuff": (93, 96, 118, 123, 128, 133, 141, 162, 168),
    "sky-stuff": (105, 156),
    "solid-stuff": (126, 134, 149, 159, 161, 181),
    "structural-stuff": (98, 112, 137, 145, 163),
    "water-stuff": (119, 147, 154, 177, 178),
}
N_THINGS = 12
CLASS_NAMES: dict[int, tuple[str, ...]] = {
    3: ("sky-stuff", "plant-stuff", "ground-stuff"),
    15: tuple(COARSE)[N_THINGS:],
    27: tuple(COARSE),
}
PUBLISHED = {3: 35_228 + 1_432, 15: 49_629 + 2_175}
SPLITS = ("train2017", "val2017")
IMAGE_FOLDERS = ("{split}", "images/{split}")
LABEL_FOLDERS = ("stuffthingmaps/{split}", "stuffthingmaps_trainval2017/{split}", "annotations/{split}")


def class_table(classes: int, *, unlabelled_as_sky: bool = False) -> npt.NDArray[np.uint8]:
    """Return the lookup table (256,) uint8 from fine ids to class ids, 255 where not scored.

    Args:
        classes: 3, 15 or 27 (27 is the coarse table itself).
        unlabelled_as_sky: map unlabelled pixels to sky, as IIC's code does by accident.

    Raises:
        PixelClusterError: another number of classes, or unlabelled as sky with other than 3 classes.
    """
    if classes not in CLASS_NAMES:
        raise PixelClusterError(f"COCO-Stuff has 3, 15 or 27 classes, got {classes}")
    if unlabelled_as_sky and classes != 3:
        raise PixelClusterError(f"unlabelled pixels count as sky with 3 classes only, got {classes} classes")
    table = np.full(256, IGNORE, dtype=np.uint8)
    for index, name in enumerate(CLASS_NAMES[classes]):
        table[list(COARSE[name])] = index
    if unlabelled_as_sky:
        table[IGNORE] = CLASS_NAMES[3].index("sky-stuff")
    return table


def follows_rule(fine: npt.NDArray[np.uint8], allowed: npt.NDArray[np.uint8]) -> bool:
    """Tell whether the published rule takes an image: sides of 360 px, 75 % of the pixels in the classes.

    The published lists are about a tenth shorter than what the rule gives: prefer them where they are at
    hand.

    Args:
        fine: (H, W) fine ids, at the size of the file.
        allowed: see `class_table`.
    """
    return min(fine.shape) >= RULE_SIDE and float(np.mean(allowed[fine] != IGNORE)) >= RULE_SHARE


class CocoStuff:
    """The images of a COCO-Stuff folder as `LabelledImage`s, read from disk on access.

    Two layouts are understood: `images/` + `labels/` side by side, or the official `train2017/`, `val2017/`
    (also under `images/`) with the PNGs of `stuffthingmaps/` (or `stuffthingmaps_trainval2017/`,
    `annotations/`), both splits together, as the protocol trains and scores on them. Label PNGs hold the 182
    fine ids, 255 unlabelled.

    Args:
        root: folder of the data set.
        classes: 3 (sky, plant, ground) or 15 (all stuff).
        image_list: one or several text files (plain or gzip) with one stem a line; None takes every image.
        min_coverage: share of scored pixels the crop of an image needs; 0 keeps all and skips reading every
            label beforehand.
        unlabelled_as_sky: score unlabelled pixels as sky (3 classes only), to compare with the original code.
        by_rule: keep only images the published rule takes, see `follows_rule`.

    Attributes:
        stems: the images kept, in the order of the list or sorted.
        class_names: one name a class.
        notes: how many images there are, beside the published number.

    Raises:
        PixelClusterError: the layout is not recognised, an image or label is missing, a label has ids outside
            0..181 and 255, or no image has enough scored pixels.
    """

    def __init__(
        self,
        root: Path | str,
        classes: int = 3,
        image_list: Path | Sequence[Path] | None = None,
        min_coverage: float = 0.01,
        unlabelled_as_sky: bool = False,
        by_rule: bool = False,
    ) -> None:
        """Index the files and keep the images with enough scored pixels."""
        if classes not in (3, 15):
            raise PixelClusterError(f"the benchmark has 3 or 15 classes, got {classes}")
        if not 0 <= min_coverage <= 1:
            raise PixelClusterError(f"min_coverage is a share in 0..1, got {min_coverage}")
        self.class_names = CLASS_NAMES[classes]
        self._table = class_table(classes, unlabelled_as_sky=unlabelled_as_sky)
        self._pairs = _index(Path(root), None if image_list is None else read_stems(image_list))
        if by_rule:
            allowed = class_table(classes)
            self._pairs = {
                stem: pair for stem, pair in self._pairs.items() if follows_rule(_read_fine(pair[1]), allowed)
            }
        if min_coverage > 0:
            self._pairs = {
                stem: pair for stem, pair in self._pairs.items() if self._coverage(pair[1]) >= min_coverage
            }
        if not self._pairs:
            rule = ", or drop the rule" if by_rule else ""
            raise PixelClusterError(
                f"{show_path(root)}: no image has {min_coverage:.1%} scored pixels, lower min_coverage{rule}"
            )
        self.stems = tuple(self._pairs)
        self.notes = (f"{len(self._pairs):,} images; the published list has {PUBLISHED[classes]:,}",)

    def __len__(self) -> int:
        """Return the number of images kept."""
        return len(self.stems)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return the image at `index` as it is scored: shrunk, centre-cropped, padded.

        Raises:
            PixelClusterError: a file is unreadable or the sizes of image and label differ.
        """
        image_path, label_path = self._pairs[self.stems[index]]
        image, fine = read_image(image_path), _read_fine(label_path)
        same_size(image, fine, label_path)
        crop = centre_crop(shrink_image(image, SHRINK), CROP, 0)
        label = centre_crop(self._classes(fine), CROP, IGNORE)
        return LabelledImage(self.stems[index], crop, label, label != IGNORE)

    def _classes(self, fine: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Map before any crop: padding is never scored, even where unlabelled pixels are."""
        return self._table[shrink_labels(fine, SHRINK)]

    def _coverage(self, label_path: Path) -> float:
        """Return the share of scored pixels in the crop."""
        return float(np.mean(centre_crop(self._classes(_read_fine(label_path)), CROP, IGNORE) != IGNORE))


def _read_fine(path: Path) -> npt.NDArray[np.uint8]:
    """Read a map of fine ids and check their range."""
    fine = read_label_png(path)
    wrong = fine[(fine >= N_FINE) & (fine != IGNORE)]
    if wrong.size:
        raise PixelClusterError(
            f"{show_path(path)}: label id {wrong[0]} found, fine ids are 0..{N_FINE - 1} and {IGNORE}"
        )
    return fine


def _index(root: Path, wanted: Sequence[str] | None) -> dict[str, tuple[Path, Path]]:
    """Return image and label path by stem, for all splits found under `root`."""
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for image_folder, label_folder in _folders(root):
        images |= images_by_stem(image_folder)
        labels |= pngs_by_stem(label_folder)
    return labels_by_stem(images, labels, wanted, root)


def _folders(root: Path) -> list[tuple[Path, Path]]:
    """Return (images, labels) folders: one pair in the flat layout, one a split in the official one."""
    if (root / "images").is_dir() and (root / "labels").is_dir():
        return [(root / "images", root / "labels")]
    pairs = []
    for split in SPLITS:
        image_folder = _first_folder(root, IMAGE_FOLDERS, split)
        label_folder = _first_folder(root, LABEL_FOLDERS, split)
        if image_folder is None and label_folder is None:
            continue
        if image_folder is None or label_folder is None:
            what, places = ("image", IMAGE_FOLDERS) if image_folder is None else ("label", LABEL_FOLDERS)
            tried = ", ".join(place.format(split=split) for place in places)
            raise PixelClusterError(f"{show_path(root)}: no {what} folder for {split}, looked for {tried}")
        pairs.append((image_folder, label_folder))
    if not pairs:
        raise PixelClusterError(
            f"{show_path(root)}: not a COCO-Stuff folder, wanted images/ + labels/, "
            "or train2017/ or val2017/ + stuffthingmaps/"
        )
    return pairs


def _first_folder(root: Path, places: Sequence[str], split: str) -> Path | None:
    """Return the first existing folder of a split."""
    folders = (root / place.format(split=split) for place in places)
    return next((folder for folder in folders if folder.is_dir()), None)
