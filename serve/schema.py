"""What the endpoint takes and gives, as JSON; also the source of its OpenAPI description."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from hashnext.inference.predictor import Suggestion


class Options(BaseModel):
    """How many tags, and how sure they must be."""

    model_config = ConfigDict(extra="forbid")

    top_k: int = Field(10, ge=1, le=100, description="At most so many tags.")
    min_confidence: float = Field(0.0, ge=0, le=1, description="No tag below this confidence.")


class TagRequest(Options):
    """A photo as JSON. The address of a photo is not accepted: the server fetches nothing."""

    image: str = Field(description="The image file in standard base64.")


class TagOut(BaseModel):
    """One suggested hashtag."""

    hashtag: str = Field(description="The most used spelling.", examples=["#brownbear"])
    name: str = Field(description="Name of the label.", examples=["brown bear"])
    wnid: str | None = Field(description="WordNet 3.0 synset.", examples=["n02132136"])
    confidence: float = Field(
        description="Calibrated probability. Those of all labels of a photo add up to 1 after a "
        "softmax; under sigmoids each label stands for itself."
    )
    confident: bool | None = Field(
        description="Above the threshold from which on this label is right as often as the model "
        "package promises; null where the package has no thresholds."
    )
    aliases: list[str] = Field(description="Other spellings, the most used first.")
    parents: list[str] = Field(description="Names of broader labels, nearest first.")

    @classmethod
    def of(cls, suggestion: Suggestion) -> "TagOut":
        """From the predictor's answer."""
        return cls(
            confidence=suggestion.confidence, confident=suggestion.confident,
            **asdict(suggestion.tag),
        )  # fmt: skip


class ModelOut(BaseModel):
    """The model that answers."""

    name: str = Field(description="As it was asked for.", examples=["models:/hashnext@champion"])
    version: str | None = Field(description="Version in the registry; null for a plain folder.")
    fingerprint: str = Field(description="SHA-256 of the model package.")
    labels: int = Field(description="Number of labels.")


class TagResponse(BaseModel):
    """Tags of one photo, the surest first."""

    tags: list[TagOut]
    model: ModelOut
    request_id: str


class Health(BaseModel):
    """The endpoint is up."""

    status: str = "ok"
    model: ModelOut


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="A word for programs.", examples=["not_image"])
    message: str = Field(description="A sentence for people.")
    request_id: str


class ErrorResponse(BaseModel):
    """Every answer with a status of 400 or above."""

    error: ErrorBody
