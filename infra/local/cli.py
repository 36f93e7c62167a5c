"""The commands."""

import argparse
import importlib.metadata
import os
import pathlib
import signal
import sys
import threading
import time

from .output import bold, dim, red, say, seconds

ROOT = pathlib.Path(__file__).resolve().parents[2]
REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")


class Stopped(BaseException):
    """A signal asks us to go."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; gives the exit status."""
    args = parsed(arguments)
    catch_signals()
    isolate()
    if problem := wrong_packages():
        return failed(problem)
    # These need the packages that have just been looked for.
    from botocore.exceptions import BotoCoreError, ClientError

    from .aws import StackError
    from .stack import Unready
    from .template import TemplateError

    try:
        args.command(args)
    except Stopped:
        return 130
    except (StackError, TemplateError, Unready, BotoCoreError, ClientError) as error:
        return failed(str(error))
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; PORT and DATA of the environment are defaults."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="Plixo on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    env = os.environ

    start = commands.add_parser("run", help="start the stack and keep it running")
    start.set_defaults(command=run)
    start.add_argument(
        "--port",
        type=int,
        default=env.get("PORT") or 8787,
        help="of base_url on 127.0.0.1; 0 takes any free one (default: PORT, else 8787)",
    )
    start.add_argument(
        "--data",
        type=pathlib.Path,
        default=env.get("DATA") or None,
        metavar="DIR",
        help="keep the data there over restarts (default: DATA, else none is kept)",
    )
    start.add_argument(
        "--state-dir",
        type=pathlib.Path,
        default=ROOT / ".local",
        metavar="DIR",
        help="where stack.json and the logs are (default: .local)",
    )
    start.add_argument(
        "--bin-dir",
        type=pathlib.Path,
        metavar="DIR",
        default=pathlib.Path(env.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug",
        help="where the functions' binaries and plixoctl are (default: target/debug)",
    )
    start.add_argument("--stack-name", default="plixo", metavar="NAME")
    start.add_argument("--no-walkthrough", action="store_true", help="show no payment")
    start.add_argument(
        "--stop-on-stdin-eof",
        action="store_true",
        help="stop when standard input ends, and so with whoever started the stack",
    )
    start.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="RIGHT",
        help="take a right away, FUNCTION:ACTION or FUNCTION:ACTION@RESOURCE, to see it missed",
    )

    listing = commands.add_parser("rights", help="list the functions' rights as --without takes them")
    listing.set_defaults(command=list_rights)
    for command in (start, listing):
        command.add_argument("--template", type=pathlib.Path, default=ROOT / "template.yaml", metavar="FILE")
    return parser.parse_args(arguments)


def failed(text: str) -> int:
    """Says what failed."""
    say(f"{red('Failed:')} {text}")
    return 1


def catch_signals() -> None:
    """The first signal raises `Stopped`; none disturbs the cleaning up that follows."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(*_) -> None:
        for name in signals:
            signal.signal(name, signal.SIG_IGN)
        raise Stopped

    for name in signals:
        signal.signal(name, stop)


def isolate() -> None:
    """Keeps the caller's AWS set-up and proxies from this process and what it starts: they talk to 127.0.0.1 only."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def wrong_packages() -> str | None:
    """What is wrong with the installed Python packages, if anything is."""
    wrong = []
    for line in REQUIREMENTS.read_text().split():
        name, _, wanted = line.partition("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != wanted:
            wrong.append(f"  {name} is {found}, not {wanted}")
    if not wrong:
        return None
    command = f"{sys.executable} -m pip install -r {REQUIREMENTS.relative_to(ROOT)}"
    return "\n".join(["nothing was started:", *wrong, f"  {command}"])


def list_rights(args: argparse.Namespace) -> None:
    """`rights`."""
    from .stack import planned
    from .template import rights

    for right in rights(planned(args.template)):
        say(right)


def run(args: argparse.Namespace) -> None:
    """`run`."""
    from .stack import Needs, published, started
    from .walkthrough import walk

    began = time.monotonic()
    if args.stop_on_stdin_eof:
        threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    say(bold("Plixo, on this machine"))
    say()
    with Needs(args) as needs, started(args, needs) as stack:
        if not args.no_walkthrough:
            walk(stack)
            stack = stack.looked_at_again()
        description = args.state_dir / "stack.json"
        with published(description, stack):
            addresses(args, stack, description, began)
            try:
                stack.stay()
            except Stopped:
                say()


def stop_at_end_of_input() -> None:
    """Signals us when standard input ends."""
    # Unbuffered: a thread that holds a buffer's lock would crash the interpreter at its end.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def sign_ins(stack) -> None:
    """Whom one can be."""
    people = [(org["name"], member["role"], member) for org in stack.orgs for member in org["members"]]
    people += [("Plixo", "operator", stack.operator)] if stack.operator else []
    rows = [("organisation", "role", "email", "password", "TOTP secret")]
    rows += [(org, role, who["email"], who["password"], who["totp_secret"]) for org, role, who in people]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        say(dim(line) if number == 0 else line)


def addresses(args: argparse.Namespace, stack, description: pathlib.Path, began: float) -> None:
    """Where everything is."""
    rows = [("HTTP API", stack.aws.base_url), ("AWS API", stack.aws.endpoint_url)]
    rows += [("Stripe double", stack.stripe.base_url), ("ERP double", stack.erps.base_url)]
    for org in stack.orgs:
        rows += [(f"{org['name']}, {endpoint['provider']}", endpoint["url"]) for endpoint in org["webhook_endpoints"]]
    rows += [("secrets, ids, environment", description), ("logs", f"{stack.aws.logs}/")]
    width = max(len(name) for name, _ in rows)
    say()
    say(bold(f"Ready after {seconds(began)}"))
    say()
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")
    say()
    sign_ins(stack)
    say()
    say("Ctrl-C stops it all. " + dim(f"The data stays in {args.data}." if args.data else "No data is kept."))
