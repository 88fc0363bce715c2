"""Controls of what reads files, records and sockets: limits, refusals with a line, what damage leaves."""

from controls.control import Control

FUZZ = "tests/test_fuzz_parsers.py"
COMMAND = "tests/e2e/test_fuzz_command.py"
IMPORTS = "tests/test_imports.py"
NODES = "devport/project/yaml_nodes.py"
CLIENT = "devport/engine/client.py"
RECORD = "devport/registry/record.py"
TARGET = "devport/export/target.py"
TREE = "devport/imports/tree.py"
BRACKETS = f"{FUZZ}::test_devport_yaml_as_deep_as_it_goes"

CONTROLS = (
    # YAML
    Control(
        "yaml-of-any-depth",
        "S37",
        NODES,
        "        _check_depth(text, loader)\n",
        "",
        (BRACKETS,),
        quick=True,
    ),
    Control(
        "aliases-are-not-counted",
        "S37",
        NODES,
        "if self.repeated > MOST_REPEATED:",
        "if False:",
        (f"{FUZZ}::test_devport_yaml_of_a_billion_laughs",),
    ),
    Control(
        "yaml-of-any-size",
        "S37",
        NODES,
        "if len(data) > LARGEST:",
        "if False:",
        (f"{FUZZ}::test_devport_yaml_that_is_too_long",),
    ),
    Control(
        "an-alias-may-be-inside-of-itself",
        "S37",
        NODES,
        "if id(node) in self.open:",
        "if False:",
        (f"{COMMAND}::test_hostile_documents_are_refused",),
    ),
    Control(
        "a-nul-is-a-letter",
        "S37",
        NODES,
        'if any(c == "\\0" or "\\ud800" <= c <= "\\udfff" for c in node.value):',
        "if False:",
        (f"{FUZZ}::test_devport_yaml",),
    ),
    Control(
        "loaders-speak-for-themselves",
        "S37",
        NODES,
        "except (yaml.YAMLError, ValueError, OverflowError) as error:",
        "except ZeroDivisionError as error:",
        (f"{FUZZ}::test_devport_yaml_without_libyaml",),
    ),
    Control(
        "messages-are-raw",
        "S18",
        "devport/project/config.py",
        "printable(refusal.message)",
        "refusal.message",
        (f"{FUZZ}::test_devport_yaml",),
    ),
    # env files
    Control(
        "values-with-a-nul",
        "S20",
        "devport/project/dotenv.py",
        'if "\\0" in binding.value:',
        "if False:",
        (f"{FUZZ}::test_env_file",),
    ),
    # records
    Control(
        "deep-records-are-not-caught",
        "F50",
        RECORD,
        "except (ValueError, RecursionError) as error:",
        "except ValueError as error:",
        (f"{COMMAND}::test_f50_hostile_records",),
    ),
    Control(
        "damage-has-no-line",
        "F50",
        RECORD,
        'return f"line {error.lineno}: "',
        'return ""',
        (f"{FUZZ}::test_record",),
        quick=True,
    ),
    Control(
        "damaged-records-are-replaced",
        "F50",
        "devport/registry/store.py",
        "                os.link(path, aside, follow_symlinks=False)\n",
        "                pass\n",
        (f"{COMMAND}::test_f50_hostile_records",),
    ),
    Control(
        "ports-of-damaged-records-are-free",
        "F50",
        "devport/registry/snapshot.py",
        "    found = [int(match[1]) for match in re.finditer(PORT, data)]\n",
        "    found: list[int] = []\n",
        (f"{FUZZ}::test_f50_ports_of_a_damaged_record",),
        quick=True,
    ),
    # sockets
    Control(
        "requests-of-any-length",
        "S37",
        CLIENT,
        "if len(self._line) > LINE:",
        "if False:",
        (f"{COMMAND}::test_line_without_end",),
    ),
    Control(
        "requests-of-any-depth",
        "S37",
        "devport/engine/request.py",
        "except (ValueError, RecursionError) as error:",
        "except ZeroDivisionError as error:",
        (f"{FUZZ}::test_request",),
    ),
    Control(
        "names-of-any-type",
        "S37",
        "devport/engine/request.py",
        "isinstance(value, list) and all(isinstance(one, str) for one in value)",
        "isinstance(value, list)",
        (f"{COMMAND}::test_fields_of_wrong_types",),
        quick=True,
    ),
    Control(
        "more-clients-than-there-is-room-for",
        "S37",
        "devport/engine/control.py",
        "if len(self._clients) > self.most:",
        "if False:",
        ("tests/integration/test_control_socket.py::test_too_many_clients",),
    ),
    Control(
        "long-notifications-are-cut",
        "F78 P30",
        "devport/sources/mailbox.py",
        "if not flags & _socket.MSG_TRUNC and _is_trusted(ancillary):",
        "if _is_trusted(ancillary):",
        (f"{COMMAND}::test_hostile_notifications",),
    ),
    Control(
        "notifications-are-text",
        "F78",
        "devport/sources/notify.py",
        "            except UnicodeDecodeError:\n",
        "            except ZeroDivisionError:\n",
        (f"{FUZZ}::test_notify_message",),
    ),
    # other files
    Control(
        "manifests-lead-anywhere",
        "S21",
        TARGET,
        'return longest <= _LONGEST_NAME and not {"", ".", ".."} & {*parts}',
        "return True",
        (f"{FUZZ}::test_manifest",),
    ),
    Control(
        "what-an-import-loses-is-not-said",
        "S37",
        TREE,
        "            yield Loss(path, node.line, self.wanted.get(me, hint))\n",
        "            return\n",
        (f"{IMPORTS}::test_no_unknown_key_is_forgotten",),
        quick=True,
    ),
)
