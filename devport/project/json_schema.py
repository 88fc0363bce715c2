"""devport.yaml as JSON Schema, for editors that complete and check it.

Made of the tables that read the keys, so it knows each of them and no other. Draft 7, because that is what
editors' YAML support knows best. What depends on several keys at once (cycles, names, `no-port` beside
`ports`) is for `devport check` to say.
"""

import json

from devport.project import config, process
from devport.project.schema import Json, either, mapping

DRAFT = "http://json-schema.org/draft-07/schema#"


def document() -> Json:
    """The schema of the whole file, in both forms."""
    item = {**mapping(process.ITEM_KEYS), "required": ["exec"]}
    return {
        "$schema": DRAFT,
        "title": "devport.yaml",
        "description": "The services of a project, for devport.",
        **either(
            mapping(config.TOP),
            {"type": "array", "items": either({"type": "string"}, item)},
        ),
    }


def text() -> str:
    """The same as a file."""
    return json.dumps(document(), indent=2) + "\n"
