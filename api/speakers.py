"""Who is dubbed: ``active_speaker_detection`` of an order, checked."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from api.errors import RefusedError

#: Two hours at 30 frames a second and more; longer lists are better fetched by URL.
MAX_BOXES: Final = 250_000

_Pixel = Annotated[int, Field(ge=0, le=65_535)]
_Side = Annotated[int, Field(ge=-65_535, le=65_535)]
_Box = Annotated[list[_Side], Field(min_length=4, max_length=4)]


class ActiveSpeaker(BaseModel):
    """Who is dubbed.

    Attributes:
        auto_detect: the most prominent face of each shot, as without any of this.
        frame_number, coordinates: a point [x, y] on the face, in a frame counted from 0.
        bounding_boxes: [x1, y1, x2, y2] of the face in each frame; null where nobody is dubbed.
        bounding_boxes_url: where such a list is, as JSON.
    """

    model_config = ConfigDict(extra="forbid")

    auto_detect: bool | None = None
    frame_number: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    coordinates: Annotated[list[_Pixel], Field(min_length=2, max_length=2)] | None = None
    bounding_boxes: Annotated[list[_Box | None], Field(max_length=MAX_BOXES)] | None = None
    bounding_boxes_url: Annotated[str, Field(max_length=8192)] | None = None

    def check(self, *, has_box: bool) -> None:
        """Refuse what contradicts itself.

        Args:
            has_box: whether ``options.box`` says where the face is.

        Raises:
            RefusedError: it does.
        """
        if (self.frame_number is None) != (self.coordinates is None):
            raise _refused("frame_number and coordinates go together")
        ways = [self.coordinates, self.bounding_boxes, self.bounding_boxes_url]
        count = sum(way is not None for way in ways)
        if count > 1:
            raise _refused("give one of coordinates, bounding_boxes and bounding_boxes_url")
        if count and self.auto_detect:
            raise _refused("auto_detect is true, and yet a face is chosen")
        if count and has_box:
            raise _refused("options.box says already where the face is")
        for frame, box in enumerate(self.bounding_boxes or ()):
            if box is not None and not (box[0] < box[2] and box[1] < box[3]):
                raise _refused(
                    f"bounding_boxes.{frame}: it is [x1, y1, x2, y2] with x1 < x2 and y1 < y2"
                )
        if self.bounding_boxes is not None and not any(self.bounding_boxes):
            raise _refused("bounding_boxes hold not one box")

    def points(self) -> list[dict[str, int]]:
        """The ``chosen`` of ``DubOptions`` as JSON."""
        if self.frame_number is None or self.coordinates is None:
            return []
        x, y = self.coordinates
        return [{"frame": self.frame_number, "x": x, "y": y}]

    def boxes_place(self) -> dict[str, Any] | None:
        """Where prepare finds the boxes; None where there are none."""
        if self.bounding_boxes_url is not None:
            return {"url": self.bounding_boxes_url}
        return None if self.bounding_boxes is None else {}


def _refused(message: str) -> RefusedError:
    message = f"options.active_speaker_detection: {message}"
    return RefusedError("generation_input_face_selection_invalid", message)
