"""A benchmark's figures, one line each."""


def row(what: str, figure: str, target: str = "", met: bool = True) -> None:
    """Print one line of the table."""
    verdict = ("met" if met else "MISSED") if target else ""
    print(f"{what:<46} {figure:>12}  {target:<14} {verdict}", flush=True)
