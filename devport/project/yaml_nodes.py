"""YAML text as a small tree of our own, each node with its line; and the one way to refuse a node.

Owns what devport takes of YAML: one document, plain types, bounded aliases, no duplicate keys. Knows
nothing of services. Scalars keep their source text (`1.10` stays `1.10`): what it means is decided
where it is used.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import yaml

DEEPEST = 50
MOST_REPEATED = 100_000  # 500 services that share 20 keys are 20,000
LARGEST = 1 << 20

Kind = Literal["str", "bool", "int", "float", "null"]

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
# What a plain scalar may be; `=` and dates have tags of their own in YAML 1.1 and are text here.
_KINDS: dict[str, Kind] = {
    "str": "str",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "null": "null",
    "timestamp": "str",
    "value": "str",
    "merge": "str",
}


class Line(int):
    """The number of a line that also knows its file: for a tree made of several files."""

    file: str

    @classmethod
    def of(cls, file: str, number: int) -> "Line":
        """Line `number` of `file`."""
        line = cls(number)
        line.file = file
        return line


def file_of(line: int, otherwise: str) -> str:
    """The file that `line` is in; `otherwise` for a line that does not know it."""
    return line.file if isinstance(line, Line) else otherwise


class Scalar(NamedTuple):
    """A word, a number, true, nothing: its text as it is written."""

    text: str
    kind: Kind
    line: int


class Items(NamedTuple):
    """A list."""

    items: "tuple[Node, ...]"
    line: int


class Table(NamedTuple):
    """A mapping, merge keys (`<<`) resolved, in the order of the file."""

    pairs: "tuple[tuple[Scalar, Node], ...]"
    line: int


Node = Scalar | Items | Table


class Refusal(Exception):  # noqa: N818 - caught in config.parse only, which makes the error of it
    """Something in the file that devport cannot take, on `line`."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message

    def under(self, name: str) -> "Refusal":
        """The same, seen from one level above."""
        return Refusal(self.line, f"{name}: {self.message}")


def unexpected(node: Node, expected: str) -> Refusal:
    """The refusal of a `node` that is not what was expected, to be raised."""
    return Refusal(node.line, f"expected {expected}, found {shown(node)}")


def shown(node: Node) -> str:
    """`node` for a message."""
    match node:
        case Scalar(_, "null"):
            return "nothing"
        case Scalar(text, "str"):
            return f"'{text[:40]}...'" if len(text) > 40 else f"'{text}'"  # noqa: PLR2004 - a line of a terminal
        case Scalar(text):
            return text[:40]
        case Items():
            return "a list"
        case Table():
            return "a mapping"


def is_nothing(node: Node | None) -> bool:
    """Whether `node` is not there, or a key without a value."""
    return node is None or (isinstance(node, Scalar) and node.kind == "null")


def compose(data: bytes, file: str | None = None) -> Node | None:
    """The one document in `data`, None where there is none; raises Refusal.

    With `file`, every line remembers that it is that file's.
    """
    try:
        return _compose(data, file)
    except Refusal as refusal:
        if file is None or isinstance(refusal.line, Line):
            raise
        raise Refusal(Line.of(file, refusal.line), refusal.message) from refusal


def _why(error: "yaml.MarkedYAMLError", text: str) -> str:
    """What is wrong, in words for who does not know YAML's own."""
    if (mark := error.problem_mark) is not None:
        line = text.split("\n")[mark.line] if mark.line <= text.count("\n") else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return "a tab: YAML is indented with spaces"
        if error.problem == "mapping values are not allowed in this context":
            return f"{error.problem}: put a value that holds `: ` in quotes"
    where = f" ({error.context})" if error.context else ""
    return f"{error.problem}{where}"


def _compose(data: bytes, file: str | None) -> Node | None:
    import yaml  # noqa: PLC0415 - 14 ms that a Procfile does not pay

    text = _text(data)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(text, loader)
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise Refusal(_line(error.problem_mark or error.context_mark), _why(error, text)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Refusal(line, f"character {_code(error.character):#04x} is not allowed") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The loader in Python lets chr() and int() speak for themselves.
        raise Refusal(1, f"not YAML: {error}") from error
    return None if root is None else _Converter(file).node(root)


def _code(character: int | str) -> int:
    """PyYAML's two readers disagree on whether the character of an error is a number."""
    return character if isinstance(character, int) else ord(character)


def _line(mark: "yaml.error.Mark | yaml._yaml.Mark | None") -> int:
    return mark.line + 1 if mark else 1


def _text(data: bytes) -> str:
    if len(data) > LARGEST:
        raise Refusal(1, f"longer than {LARGEST >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refusal(line, f"byte {data[error.start]:#04x} is not UTF-8") from error


def _check_depth(text: str, loader: "type[yaml.SafeLoader]") -> None:
    """The composer of libyaml recurses in C: some thousand brackets would be a segmentation fault."""
    import yaml  # noqa: PLC0415

    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise Refusal(_line(event.start_mark), f"nested more than {DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Converter:
    """PyYAML's nodes to ours; remembers what it has seen, so that aliases cannot explode."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.seen: set[int] = set()
        self.open: set[int] = set()
        self.repeated = 0

    def node(self, node: "yaml.Node") -> Node:
        """`node` and all below it."""
        line = _line(node.start_mark)
        if self.file is not None:
            line = Line.of(self.file, line)
        if id(node) in self.open:
            raise Refusal(line, "an alias inside of what it stands for")
        self.repeated += id(node) in self.seen
        if self.repeated > MOST_REPEATED:
            raise Refusal(line, f"aliases stand for more than {MOST_REPEATED} values")
        self.seen.add(id(node))
        self.open.add(id(node))
        try:
            return self.converted(node, line)
        finally:
            self.open.discard(id(node))

    def converted(self, node: "yaml.Node", line: int) -> Node:
        """The three kinds of nodes; any tag that is not YAML's own is refused."""
        import yaml  # noqa: PLC0415

        tag = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return Table(self.pairs(node), line)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return Items(tuple(self.node(item) for item in node.value), line)
        if not isinstance(node, yaml.ScalarNode) or tag not in _KINDS:
            raise Refusal(line, f"the tag {node.tag} is not supported")
        # Surrogates, which only the loader in Python lets through, would come out as bytes.
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in node.value):
            raise Refusal(line, "a NUL byte or half a character in a value")
        return Scalar(node.value, _KINDS[tag], line)

    def pairs(self, node: "yaml.MappingNode") -> tuple[tuple[Scalar, Node], ...]:
        """The pairs of a mapping: what is written here beats what `<<` brings in, duplicates are refused."""
        merged: dict[str, tuple[Scalar, Node]] = {}
        written: dict[str, tuple[Scalar, Node]] = {}
        for key_node, value_node in node.value:
            key, value = self.node(key_node), self.node(value_node)
            if not isinstance(key, Scalar):
                raise Refusal(key.line, f"a key cannot be {shown(key)}")
            if key_node.tag == _MERGE:
                for name, pair in _merged(value).items():
                    merged.setdefault(name, pair)
            elif first := written.get(key.text):
                raise Refusal(key.line, f"duplicate key {key.text} (first on line {first[0].line})")
            else:
                written[key.text] = (key, value)
        return tuple({**merged, **written}.values())


def _merged(value: Node) -> dict[str, tuple[Scalar, Node]]:
    """What `<<: VALUE` brings in; of several mappings the first wins, as YAML says."""
    pairs: dict[str, tuple[Scalar, Node]] = {}
    for table in value.items if isinstance(value, Items) else (value,):
        if not isinstance(table, Table):
            raise unexpected(table, "a mapping after <<")
        for key, node in table.pairs:
            pairs.setdefault(key.text, (key, node))
    return pairs
