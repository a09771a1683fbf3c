"""What all tables share: constraint names, column types, ids and times from the database."""

import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, mapped_column

#: Constraints have names one can tell from, and a later migration can drop them by name.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The root of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        uuid.UUID: UUID(as_uuid=True),
        str: Text(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        list[str]: ARRAY(Text()),
        list[uuid.UUID]: ARRAY(UUID(as_uuid=True)),
    }


#: A random id, made by the database.
Id = Annotated[uuid.UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))]
#: A number that grows.
Number = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
#: A number that grows, of another row.
NumberRef = Annotated[int, mapped_column(BigInteger)]
#: When the row was made, by the database's clock; no other clock counts.
Created = Annotated[datetime, mapped_column(server_default=text("now()"))]
#: A size in bytes.
Size = Annotated[int, mapped_column(BigInteger)]
#: A count that starts at nought.
Count = Annotated[int, mapped_column(server_default=text("0"))]
#: A flag that starts down.
Flag = Annotated[bool, mapped_column(server_default=text("false"))]
#: A JSON object that starts empty.
Facts = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'::jsonb"))]


def is_one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """The column holds one of these words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)
