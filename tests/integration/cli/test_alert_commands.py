"""`gridsignal alert`, as an operator and a data center type it."""

from __future__ import annotations

from tests.integration.cli.conftest import Ran, Up, ran


def test_an_alert_is_issued_acknowledged_superseded_and_cleared(up: Up) -> None:
    def said(line: str, who: str = "operator-tso-north") -> Ran:
        variables = next(up.directory.rglob(f"{who}.env"))
        directory = {"GRIDSIGNAL_DIRECTORY": str(up.directory)}
        return ran(f"unset GRIDSIGNAL_SITE; . '{variables}'; gridsignal {line}", cwd=up.directory, **directory)

    def done(line: str, who: str = "operator-tso-north") -> Ran:
        happened = said(line, who)
        assert happened.code == 0, happened.err
        return happened

    (up.directory / "push.token").write_text(done("token mint --operator tso-north --push").out, "ascii")
    create = "alert create --zone DE-LU --kind grid_emergency --action shed --drill --token-file push.token"
    assert "DRILL alert storm: new, revision 1" in done(f"{create} --id storm --text 'Shed now.'").out
    acknowledged = done("alert ack storm applied --site fra-1", "participant-acme-ai")
    assert acknowledged.out.startswith("DRILL alert storm: APPLIED, received at ")
    shown = done("alert show storm").out
    assert "DRILL GRID_EMERGENCY" in shown
    (site,) = (line for line in shown.splitlines() if line.startswith("fra-1"))
    assert "LATE" not in site
    (view,) = done("alert show storm --json").rows()
    assert view["alert"]["acknowledge_within_s"] == 60
    assert [each["site"] for each in view["sites"] if each["applied"]["at"]] == ["fra-1"]
    done(f"{create} --id worse --supersedes storm")
    assert "superseded by worse" in done("alert list --zone DE-LU").out
    for word in ("cleared", "over already"):
        assert f"alert worse: {word}, revision 2" in done("alert clear worse --token-file push.token").out
    assert done("alert list --in-force --json").rows() == []
    assert said("alert ack worse applied --site fra-1", "participant-acme-ai").code == 1
    assert said("alert show no-such-alert").code == 1
    late = said(f"{create} --start -1h --for 30m")
    assert (late.code, late.out, "--for: expected an end after " in late.err) == (1, "", True)
