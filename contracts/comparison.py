"""What changed from one form to another, found by walking both together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.evolution import Change, Evolution
from remit.contracts.form import AnyOf, Choice, Described, Entries, Fixed, Form, Items, Ref, Scalar, describe, shown
from remit.contracts.reading import Reading, fields_of, options_of, wires_of
from remit.contracts.upcast import chain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from remit.contracts.evolution import What
    from remit.contracts.form import FieldForm, Record


def evolution_of(old: object, new: object, *, contract: str = "") -> Evolution:
    """Give what changed from one type to another.

    Raises:
        ContractInvalidError: a part of one of them has no form in JSON.
    """
    return compare(describe(old), describe(new), contract=contract)


def compare(old: Described, new: Described, *, contract: str = "", upcasts: Collection[str] = ()) -> Evolution:
    """Give what changed from one description to another, each by itself: the old one may be all that is left.

    `upcasts` are the tags of older messages that the new side brings forward.
    """
    walk = _Comparison(old, new, contract or shown(old.root), upcasts=upcasts)
    return Evolution(changes=tuple(walk.changes()))


KEEP_TAG: Final = "keep it as it was, or give the message its next tag and bring the old one forward with upcast="
DEFAULT: Final = "give it a default; else give the message its next tag and bring the old one forward with upcast="
LATER: Final = "let every reader know it before a writer uses it"


class _Comparison:
    """Walks both sides together; what it finds adds up to what the proof says of the whole."""

    def __init__(self, old: Described, new: Described, contract: str, *, upcasts: Collection[str]) -> None:
        self._upcasts = upcasts
        self._old, self._new, self._contract = old, new, contract
        self._seen: set[tuple[str, str]] = set()

    def changes(self) -> Iterator[Change]:
        yield from self._part("$", self._old.root, self._new.root)

    def _forward(self, new: Form, old: Form) -> bool:
        return Reading(self._new.records, self._old.records, upcasts=self._upcasts).reads(new, old)

    def _backward(self, old: Form, new: Form) -> bool:
        return Reading(self._old.records, self._new.records).reads(old, new)

    def _change(self, path: str, what: What, *, old: Form, new: Form) -> Change:
        readers, writers = self._forward(new, old), self._backward(old, new)
        return self._say(path, what, old=shown(old), new=shown(new), readers=readers, writers=writers)

    def _say(self, path: str, what: What, *, readers: bool, writers: bool, **said: str) -> Change:
        why = _why(readers=readers, writers=writers)
        fix = KEEP_TAG if not readers else LATER if not writers else ""
        words = {"why": why, "fix": fix} | said
        return Change(contract=self._contract, path=path, what=what, readers=readers, writers=writers, **words)

    # --- parts -----------------------------------------------------------------------------------

    def _part(self, path: str, old: Form, new: Form) -> Iterator[Change]:
        match old, new:
            case Ref(), Ref():
                yield from self._record(path, old, new)
            case (AnyOf(), _) | (_, AnyOf()):
                yield from self._union(path, old, new)
            case Items(), Items():
                yield from self._part(f"{path}[...]", old.each, new.each)
                yield from self._limits(path, old, msgspec.structs.replace(new, each=old.each))
            case Entries(), Entries():
                yield from self._part(f"{path}[...]", old.value, new.value)
                yield from self._limits(path, old, msgspec.structs.replace(new, value=old.value))
            case Fixed(items=before), Fixed(items=after) if len(before) == len(after):
                for index, (one, other) in enumerate(zip(before, after, strict=True)):
                    yield from self._part(f"{path}[{index}]", one, other)
            case Scalar(), Scalar() if old.name == new.name:
                yield from self._limits(path, old, new)
            case _ if old != new:
                yield self._change(
                    path, "values" if isinstance(old, Choice) and isinstance(new, Choice) else "type", old=old, new=new
                )

    def _limits(self, path: str, old: Form, new: Form) -> Iterator[Change]:
        """Both are of one form, apart from what they are limited to."""
        if old == new:
            return
        alike = Reading(self._old.records, self._old.records)
        readers, writers = alike.reads(new, old), alike.reads(old, new)
        yield self._say(
            path,
            "limits",
            old=shown(old),
            new=shown(new),
            readers=readers,
            writers=writers,
        )

    def _union(self, path: str, old: Form, new: Form) -> Iterator[Change]:
        split = _tells_numbers(old) or _tells_numbers(new)
        before, after = _by_place(old, self._old, split=split), _by_place(new, self._new, split=split)
        if before is None or after is None:  # two options for one kind of value: only the whole can be compared
            whole = self._change(path, "type", old=old, new=new)
            if old != new or whole.kind != "compatible":
                yield whole
            return
        for place in before.keys() & after.keys():
            yield from self._part(path, before[place], after[place])
        for place in before.keys() - after.keys():
            yield self._gone(path, before[place], new)
        for place in after.keys() - before.keys():
            yield self._came(path, old, after[place])
        yield from self._together(path, old=old, new=new, before=before, after=after)

    def _together(
        self, path: str, *, old: Form, new: Form, before: Mapping[str, Form], after: Mapping[str, Form]
    ) -> Iterator[Change]:
        """The options of a union may each be read, and not all of them together: then that is said of the whole."""
        whole = self._change(path, "type", old=old, new=new)
        readers = all(self._forward(after.get(place, new), option) for place, option in before.items())
        writers = all(self._backward(before.get(place, old), option) for place, option in after.items())
        if (readers and not whole.readers) or (writers and not whole.writers):
            yield whole

    def _gone(self, path: str, option: Form, new: Form) -> Change:
        readers = self._forward(new, option)
        return self._say(
            path,
            "option removed",
            old=shown(option),
            new=shown(new),
            readers=readers,
            writers=True,
        )

    def _came(self, path: str, old: Form, option: Form) -> Change:
        writers = self._backward(old, option)
        alone = isinstance(option, Ref) and sum("object" in wires_of(item) for item in options_of(old)) == 1
        return self._say(
            path,
            "option added",
            old=shown(old),
            new=shown(option),
            readers=True,
            writers=writers,
            warning="a writer that left `type` out must write it now" if alone else "",
        )

    # --- records ---------------------------------------------------------------------------------

    def _record(self, path: str, old: Ref, new: Ref) -> Iterator[Change]:
        if (old.name, new.name) in self._seen:
            return
        self._seen.add((old.name, new.name))
        before, after = self._old.records[old.name], self._new.records[new.name]
        if after.tag in chain(before.tag, self._upcasts)[1:]:
            yield self._brought_forward(path, before.tag, after.tag)
            return
        yield from self._tag(path, before, after)
        yield from self._closed(path, before, after)
        gone = [field for field in before.fields if field.name not in _names(after)]
        came = [field for field in after.fields if field.name not in _names(before)]
        for field in gone:
            yield self._removed(path, field, came, closed=after.closed)
        for field in came:
            yield self._added(path, field, closed=before.closed)
        known = _names(before)
        for field in after.fields:
            if field.name in known:
                yield from self._field(f"{path}.{field.name}", known[field.name], field)

    def _tag(self, path: str, old: Record, new: Record) -> Iterator[Change]:
        if (old.tag, old.tag_field) == (new.tag, new.tag_field):
            return
        readers, writers = _tag_reads(new, old), _tag_reads(old, new)
        yield self._say(
            path,
            "tag",
            old=old.tag,
            new=new.tag,
            readers=readers,
            writers=writers,
            fix="" if readers else f'bring it forward: upcast={{"{old.tag}": function}}',
        )

    def _brought_forward(self, path: str, old: str, new: str) -> Change:
        why = f"the upcast from {old} brings it forward; an older reader does not know {new}"
        return self._say(path, "tag", old=old, new=new, readers=True, writers=False, why=why)

    def _closed(self, path: str, old: Record, new: Record) -> Iterator[Change]:
        if old.closed == new.closed:
            return
        # Which field it is that is refused is said of the field.
        yield self._say(
            path,
            "unknown fields",
            old="refused" if old.closed else "ignored",
            new="refused" if new.closed else "ignored",
            readers=True,
            writers=True,
            warning="fields that nobody knows are refused now" if new.closed else "",
        )

    def _added(self, path: str, field: FieldForm, *, closed: bool) -> Change:
        readers, writers = not field.required, not closed
        why = "what was written before lacks it" if field.required else "it has a default"
        if closed:
            why += "; an older reader refuses what it does not know"
        return self._say(
            f"{path}.{field.name}",
            "field added",
            new=_of_field(field),
            readers=readers,
            writers=writers,
            why=why,
            fix=DEFAULT if not readers else "" if writers else LATER,
        )

    def _removed(self, path: str, field: FieldForm, came: Iterable[FieldForm], *, closed: bool) -> Change:
        readers, writers = not closed, not field.required
        why = "unknown fields are refused here" if closed else "what was written before has it, and it is ignored"
        if field.required:
            why += "; an older reader needs it"
        twin = next((item for item in came if _of_kind(item) == _of_kind(field)), None)
        renamed = (
            f'renamed to {twin.name}? keep the name on the wire: msgspec.field(name="{field.name}")' if twin else ""
        )
        keep = KEEP_TAG if closed else "write it as long as older readers are there" if field.required else ""
        return self._say(
            f"{path}.{field.name}",
            "field removed",
            old=_of_field(field),
            readers=readers,
            writers=writers,
            why=why,
            fix=renamed or keep,
            warning="" if closed else "what it says is lost to new readers",
        )

    def _field(self, path: str, old: FieldForm, new: FieldForm) -> Iterator[Change]:
        yield from self._part(path, old.form, new.form)
        if old.required != new.required:
            yield self._say(
                path,
                "now required" if new.required else "now optional",
                old=_of_field(old),
                new=_of_field(new),
                readers=old.required,
                writers=new.required,
                why="it may have been left out" if new.required else "an older reader needs it",
                fix=DEFAULT if new.required else "write it as long as older readers are there",
            )
        elif old.default != new.default:
            yield self._say(
                path,
                "default",
                old=old.default,
                new=new.default,
                readers=True,
                writers=True,
                warning="where it was left out, it reads differently now",
            )


def _names(record: Record) -> Mapping[str, FieldForm]:
    return {field.name: field for field in record.fields}


def _of_kind(field: FieldForm) -> tuple[Form, bool]:
    return field.form, field.required


def _of_field(field: FieldForm) -> str:
    return shown(field.form) + (f" = {field.default}" if field.default else "")


def _tag_reads(reader: Record, writer: Record) -> bool:
    wanted, written = fields_of(reader), fields_of(writer)
    if reader.closed and writer.tag and writer.tag_field not in wanted:
        return False
    both = ({reader.tag_field, writer.tag_field} - {""}) & wanted.keys() & written.keys()
    return all(Reading({}, {}).reads(wanted[name].form, written[name].form) for name in both)


def _tells_numbers(form: Form) -> bool:
    """Say whether it takes whole numbers as one thing, and others as another."""
    return sum(wires_of(option)[-1] in {"int", "float"} for option in options_of(form)) > 1


def _by_place(form: Form, side: Described, *, split: bool) -> dict[str, Form] | None:
    """Give the options of a union by what they are told apart by; None if two are at one place."""
    found: dict[str, Form] = {}
    for option in options_of(form):
        place: str = wires_of(option)[0]
        if isinstance(option, Ref):
            place = side.records[option.name].tag or "object"
        elif place in {"int", "float"} and not split:
            place = "number"
        elif place == "int" and isinstance(option, Scalar) and option.name == "float":
            place = "float"
        if place in found:
            return None
        found[place] = option
    return found


def _why(*, readers: bool, writers: bool) -> str:
    match readers, writers:
        case True, True:
            return "both sides read each other"
        case True, False:
            return "an older reader does not take everything that is written now"
        case False, True:
            return "what was written before may be something else"
        case _:
            return "neither side takes all that the other writes"
