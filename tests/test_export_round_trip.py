"""P36: any words and values, exported and read back as the other manager reads them, are the same bytes.

How each format is read is said in test_export_documents and test_export_processes, which try more inputs;
systemd and tmux, which are asked themselves, have tests of their own in e2e.
"""

import pytest
import test_export_documents as documents
import test_export_processes as processes
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import drill

from devport.encoding import encode

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


def many(short):
    """Settings for the drill's number of examples."""
    return settings(
        max_examples=drill.trials(short, 5000),
        deadline=None,
        phases=PHASES,
        suppress_health_check=[HealthCheck.too_slow],
    )


def name(reader):
    """What the format that `reader` reads is called."""
    return reader.__name__.partition("_")[2]


@pytest.mark.drill
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reader", documents.READERS, ids=name)
def test_p36_documents(reader, tally):
    """process-compose, mprocs, compose and Kubernetes: words, environment and folder."""
    count = 0

    @given(st.lists(documents.TEXTS, min_size=1, max_size=3), documents.ENVIRONMENTS, documents.TEXTS)
    @many(40)
    def trip(words, environment, folder):
        nonlocal count
        one = documents.unit(tuple(words), environment, cwd=f"/srv/{folder}")
        assert reader(one) == (words, dict(one.environment), one.cwd)
        count += 1

    trip()
    tally(count)


@pytest.mark.drill
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reader", processes.READERS, ids=name)
def test_p36_processes(reader, tally):
    """supervisord, launchd, upstart, Procfile and runit: what is executed has got words and environment."""
    count = 0

    @given(
        st.lists(processes.WORDS, min_size=1, max_size=3),
        st.dictionaries(processes.NAMES, processes.WORDS, min_size=1, max_size=3),
    )
    @many(20)
    def trip(words, environment):
        nonlocal count
        given_words = processes.output(*reader(processes.unit((*processes.PRINT, *words))))
        assert given_words == [encode(word) for word in words]
        found = processes.variables(processes.output(*reader(processes.unit(processes.ENV, environment))))
        assert {key: found.get(encode(key)) for key in environment} == {
            key: encode(value) for key, value in environment.items()
        }
        count += 1

    trip()
    tally(count)
