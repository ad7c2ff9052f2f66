"""SSL Certificate Rollback: the edge's certificate goes back to a recorded release with users at work."""

from __future__ import annotations

import gc
import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.certificates import FOLDER, KINDS, bad
from fixtures.operators import broken_target_first
from fixtures.scenario import Scenario, carried_out
from fixtures.variations import each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.verdict import Finding

pytestmark = [
    pytest.mark.engine,
    pytest.mark.monthly,
    pytest.mark.configuration,
    # the users' HTTP client leaves the socket of a handshake that failed to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

SECTION = "Configuration Rollback / SSL Certificate Rollback"
OBJECTIVE = 120
HARDEST = "expired"
_DER, _OWNER = serialization.Encoding.DER, 0o600
FACTS = {"section": SECTION, "procedure": "certificates", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("file nginx/upstream.conf", "the edge's generation marker is a new one; the servers are the same"),
    Allowed("rows *", "users went on working", expected=False),
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Such sockets go while the filter above is in force, and not in the next test."""
    yield
    gc.collect()


def shown(case: Case) -> list[Finding]:
    """What the edge shows is the recorded certificate, and its key is the owner's alone."""
    recorded = (case.stack.checkout / ".rollback/releases" / GOOD / "files" / FOLDER / "fullchain.pem").read_bytes()
    wanted = hashlib.sha256(x509.load_pem_x509_certificate(recorded).public_bytes(_DER)).hexdigest()
    port = int(case.stack.edge_https.rpartition(":")[2])
    live = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=5))
    mode = (case.stack.checkout / FOLDER / "privkey.pem").stat().st_mode & 0o777
    return [
        finding("fingerprint", hashlib.sha256(live).hexdigest() == wanted, "the edge shows another certificate"),
        finding("key permissions", mode == _OWNER, f"privkey.pem has mode {mode:o}"),
    ]


# every gate against them is a unit test
@each("kind", "certificates", KINDS, FACTS, why="the way back is the same for each of them", always={HARDEST})
def test_certificate_that_no_client_accepts(drill: Bench, kind: str) -> None:
    """A certificate that users' browsers turn down, or that kills the edge, goes back to the recorded one."""
    scenario = Scenario.back_to(
        GOOD,
        bad(kind, drill.authority),
        command=("certificates", GOOD),
        # typed once more it makes sure again that the edge has read its files
        again=0,
        objective=OBJECTIVE,
        residue=RESIDUE,
        blamed=(),
        tls=True,
        operator=broken_target_first("expired") if kind == HARDEST else carried_out,
        further=shown,
        # nobody gets in while it lasts: no write is acknowledged
        budget=Budget(during=0, gap=5.0),
    )
    drill(scenario)
