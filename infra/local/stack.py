"""The stack from nothing to ready: what it needs, how it starts, how it is described to others."""

import argparse
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import platform
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator

from . import aws as emulator
from . import books, deploy, seller
from . import template as templates
from .aws import Aws, StackError, tail
from .demo import Plixoctl
from .files import write_private
from .output import step

# How plixoctl knows the stack: by the names under which the functions know it, and by an output of the template.
VARIABLES = (
    "LEDGER_TABLE",
    "WEBHOOK_EVENTS_TABLE",
    "AUDIT_TABLE",
    "PEOPLE_TABLE",
    "ENVELOPE_KEY_ARN",
    "SEAL_KEY_ARN",
    "SEAL_ORIGIN",
    "HASH_KEY_ARN",
    "USER_POOL_ID",
    "USER_POOL_CLIENT_ID",
    "WEBHOOK_ENDPOINTS_PREFIX",
    "STRIPE_EVENTS_QUEUE_URL",
)


class Unready(Exception):
    """Something is missing, and nothing has been started."""


@dataclasses.dataclass(frozen=True)
class Stack:
    """A running stack."""

    aws: Aws
    resources: dict[str, str]
    env: dict[str, str]
    plixoctl: Plixoctl
    orgs: list[dict]
    operator: dict | None = None
    stripe: seller.Stripe | None = None
    erps: books.Erps | None = None

    def description(self) -> dict:
        """`stack.json`: the one door for tests, scripts and other people's tools."""
        return {
            "base_url": self.aws.base_url,
            "aws_endpoint_url": self.aws.endpoint_url,
            "region": emulator.REGION,
            "env": self.env,
            "resources": self.resources,
            "operator": self.operator,
            "orgs": self.orgs,
            "stripe": self.stripe.description() if self.stripe else None,
            "erps": self.erps.description() if self.erps else None,
        }

    def looked_at_again(self) -> "Stack":
        """The stack with its demo organisations as they are by now."""
        return dataclasses.replace(self, **self.plixoctl.seed(self.aws.base_url))

    def stay(self) -> None:
        """Returns never, but by a signal or because the emulator or a double is gone."""
        processes = [("AWS emulator", self.aws.process, self.aws.logs / "emulator.log")]
        processes += [("Stripe double", self.stripe.process, self.stripe.log)] if self.stripe else []
        processes += [("ERP double", self.erps.process, self.erps.log)] if self.erps else []
        while True:
            for name, process, log in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(0.5)
                    raise StackError(f"the {name} ended by itself ({status}):\n{tail(log)}")


class Needs(contextlib.ExitStack):
    """What a stack needs: template, binaries, ports and directories, the latter two held until the end of the block.

    All of it is looked at, so that everything that is missing is said at once.
    """

    def __init__(self, args: argparse.Namespace):
        super().__init__()
        self.args = args
        self.missing: list[str] = []
        self.locks: list[int] = []

    def __enter__(self) -> "Needs":
        args = self.args
        if not args.template.is_file():
            raise Unready(f"{args.template} is missing")
        self.template = templates.load(args.template)
        self.packages = templates.packages(self.template)
        self.binaries = {name: args.bin_dir / name for name in [*self.packages.values(), "plixoctl"]}
        if unbuilt := [name for name, path in self.binaries.items() if not os.access(path, os.X_OK)]:
            command = " ".join(["cargo build", *(f"-p {name}" for name in unbuilt)])
            self.missing.append(f"{', '.join(unbuilt)} not built in {args.bin_dir}: {command}")
        for directory in filter(None, (args.state_dir, args.data)):
            self._lock(directory)
        self.base = self._base_port()
        # With any port for the API, the others are anywhere too, so that no stack takes those of one that starts anew.
        firsts = emulator.FIRST_PORT, seller.FIRST_PORT, books.FIRST_PORT
        aws, stripe, erps = firsts if args.port else (random.randrange(20_000, 30_000) for _ in firsts)  # noqa: S311
        self.aws = self._port("AWS emulator", self._kept_aws_port(), aws)
        self.stripe = self._port("Stripe double", seller.kept_port(args.data) if args.data else None, stripe)
        self.erps = self._port("ERP double", None, erps)
        if self.missing:
            self.close()
            raise Unready("\n".join(["nothing was started:", *(f"  {one}" for one in self.missing)]))
        return self

    def _lock(self, directory: pathlib.Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.enter_context((directory / "lock").open("a+"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            self.missing.append(f"{directory} is in use by another stack, process {file.read().strip()}")
        else:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            self.locks.append(file.fileno())

    def _base_port(self) -> socket.socket | None:
        try:
            return self.enter_context(emulator.listen(self.args.port))
        except OSError as error:
            self.missing.append(f"port {self.args.port}: {error.strerror}; PORT moves it, PORT=0 takes any free one")
        return None

    def _kept_aws_port(self) -> int | None:
        kept = self.args.data / "port" if self.args.data else None
        return int(kept.read_text()) if kept and kept.exists() else None

    def _port(self, whose: str, kept: int | None, first: int) -> socket.socket | None:
        if kept is None:
            return self.enter_context(emulator.listen_from(first))
        try:
            # Addresses of queues, APIs and pages are kept with the data, and the port is part of them.
            return self.enter_context(emulator.listen(kept))
        except OSError as error:
            self.missing.append(f"port {kept} of the {whose}, which the data in {self.args.data} needs: {error.strerror}")
        return None


@contextlib.contextmanager
def started(args: argparse.Namespace, needs: Needs) -> Iterator[Stack]:
    """A stack, until the end of the block."""
    logs, scratch = ((args.state_dir / name).resolve() for name in ("logs", "run"))
    data = args.data.resolve() if args.data else None
    with contextlib.ExitStack() as cleanup:
        # One that was killed leaves its own behind.
        (args.state_dir / "stack.json").unlink(missing_ok=True)
        for directory in (logs, scratch):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700)
        cleanup.callback(shutil.rmtree, scratch, ignore_errors=True)
        with step("starting the AWS emulator"):
            aws = cleanup.enter_context(emulator.running(needs.aws, needs.base, logs, scratch, data, needs.locks))
        if data:
            (data / "port").write_text(str(aws.port))
        with step("packing and uploading the functions"):
            (scratch / "code").mkdir()
            code = deploy.upload(aws, needs.packages, needs.binaries, scratch / "code")
        with step(f"deploying {args.template.name}"):
            template = expanded(needs.template, code, args.without)
            told = parameters() | addresses(aws.base_url, seller.address(needs.stripe), template, seller.address(needs.erps))
            resources = deploy.deploy(aws, args.stack_name, template, told)
            deploy.tidy(aws, code)
            variables = deploy.environment(aws, resources, list(needs.packages))
            deploy.verify(aws, variables["SENDER_EMAIL"])
            aws.serve_api(resources["Api"])
        env = aws.env | {name: variables[name] for name in VARIABLES}
        env["STORAGE_KEY_ARN"] = deploy.outputs(aws, args.stack_name)["StorageKeyArn"]
        with step("making the demo organisations"):
            plixoctl = Plixoctl(needs.binaries["plixoctl"], env)
            made = plixoctl.seed(aws.base_url)
        with step("starting the doubles of Stripe and of ERPs"):
            stripe = cleanup.enter_context(seller.running(needs.stripe, made["orgs"], logs, scratch, data))
            running = cleanup.enter_context(books.running(needs.erps, logs))
            stack = Stack(aws, resources, env, plixoctl, **made, stripe=stripe, erps=running)
            connect_stripe(stack)
        yield stack


def connect_stripe(stack: Stack) -> None:
    """Gives each organisation the key of its account at the double."""
    for account in stack.stripe.accounts:
        stack.plixoctl.connect_stripe(account["org"], account["key"])


def parameters() -> dict[str, str]:
    """The parameters of the template on this machine."""
    return {"Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"}


def addresses(base_url: str, stripe_url: str, template: dict, erp_url: str | None = None) -> dict[str, str]:
    """The parameters that say where things are on this machine; those of the doubles only where the template has them."""
    doubles = dict.fromkeys(("StripeApiUrl", "StripeCheckoutOrigin"), stripe_url)
    doubles |= books.parameters(erp_url) if erp_url else {}
    return {"BaseUrl": base_url} | {name: url for name, url in doubles.items() if name in template.get("Parameters", {})}


def expanded(template: dict, code: dict[str, str], without: list[str]) -> dict:
    """The template as it is deployed: code, routes, and rights taken away."""
    template = templates.expand(template, code, parameters())
    for right in without:
        template = templates.without(template, right)
    return template


def planned(path: pathlib.Path) -> dict:
    """The template as it would be deployed, of code that need not be there."""
    template = templates.load(path)
    code = {name: f"s3://code/{package}" for name, package in templates.packages(template).items()}
    return expanded(template, code, [])


@contextlib.contextmanager
def published(path: pathlib.Path, stack: Stack) -> Iterator[None]:
    """`stack.json`, which is gone with the stack."""
    write_private(path, stack.description())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
