"""What is said in several places is the same everywhere: crates, their source, their READMEs, the template."""

import pathlib
import re
import tomllib

import expansion
import pytest
from rules import Stack, kebab, listed

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = expansion.load(ROOT / "template.yaml")
STACK = Stack(expansion.expand(SOURCE))
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in SOURCE["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"
}

# Which crate of ours, by which feature, speaks to which service, and where.
ADAPTERS = {
    ("plixo-aws", "cognito"): ("cognito-idp", "shared/plixo-aws/src/cognito.rs"),
    ("plixo-aws", "kms"): ("kms", "shared/plixo-aws/src/kms.rs"),
    ("plixo-aws", "mac"): ("kms", "shared/plixo-aws/src/mac.rs"),
    ("plixo-aws", "ses"): ("ses", "shared/plixo-aws/src/ses.rs"),
    ("plixo-aws", "s3"): ("s3", "shared/plixo-aws/src/s3.rs"),
    ("plixo-aws", "secrets"): ("secretsmanager", "shared/plixo-aws/src/secrets.rs"),
    ("plixo-aws", "sign"): ("kms", "shared/plixo-aws/src/sign.rs"),
    ("plixo-aws", "sqs"): ("sqs", "shared/plixo-aws/src/sqs.rs"),
    ("plixo-store", None): ("dynamodb", "shared/plixo-store/src/dynamo.rs", "shared/plixo-store/src/people.rs"),
}
# A transaction needs the right to each of its parts. Who may not list a bucket is refused what is not in it.
CALLS = {"dynamodb:ConditionCheckItem": (".transact_write_items()",), "dynamodb:PutItem": (".transact_write_items()", ".put_item()"), "s3:ListBucket": (".get_object()",)}
# What Lambda does in a function's name.
BY_LAMBDA = {
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
}
BY_EVENT_SOURCE = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
BY_STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams", "sqs:SendMessage"}

each_function = pytest.mark.parametrize("function", FUNCTIONS)


def crate(function: str) -> pathlib.Path:
    return ROOT / "functions" / kebab(function)


def manifest(function: str) -> dict:
    return tomllib.loads((crate(function) / "Cargo.toml").read_text())


def source(function: str) -> str:
    """The code of a function that is not a test."""
    files = [path for path in sorted((crate(function) / "src").rglob("*.rs")) if "tests" not in (path.stem, path.parent.name)]
    return "\n".join(path.read_text() for path in files)


def table(function: str, heading: str) -> list[list[str]]:
    """The rows of a README's table below a heading, without backticks."""
    text = (crate(function) / "README.md").read_text()
    _, found, section = text.partition(f"\n## {heading}\n")
    assert found, f"{function}'s README has no section {heading}"
    lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]


def rights(function: str) -> set[tuple[str, str, str]]:
    """What a function may do, on what, under which conditions."""
    role = STACK.target(STACK.properties(function)["Role"], "AWS::IAM::Role")
    return {
        (action, on(resource), ", ".join(sorted(key for keys in s.get("Condition", {}).values() for key in keys)))
        for name, s in STACK.statements() if name == role
        for action in listed(s["Action"])
        for resource in listed(s["Resource"])
    }


def on(resource) -> str:
    """A resource as READMEs name it: by its logical id, or by the last part of its ARN."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]} | {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, "StreamArn"]}:
            return f"{name}/stream"
        case {"Fn::Sub": text}:
            text = re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
            return re.sub(r"\$\{AWS::(\w+)\}", r"<\1>", text).rpartition(":")[2]
    return resource


def alarms(function: str) -> set[str]:
    """The alarms that watch a function, the queues that it reads and where what it gives up ends."""
    queues = {queue for _, queue, reader in STACK.consumers() if reader == function}
    queues |= {dead for dead, of in STACK.dead_letter_queues().items() if of in queues}
    mappings = {mapping for mapping, _, follower in STACK.followers() if follower == function}
    queues |= {queue for queue, mapping in STACK.failure_queues().items() if mapping in mappings}
    watched = [{"Ref": function}, kebab(function)] + [{"Fn::GetAtt": [queue, "QueueName"]} for queue in queues]
    found = STACK.of("AWS::CloudWatch::Alarm")
    return {name for name, p in found if any(d["Value"] in watched for d in p["Dimensions"])}


def test_each_crate_is_a_function_and_each_function_a_crate():
    crates = {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}
    assert crates == {kebab(function) for function in FUNCTIONS}
    assert "functions/*" in tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]


@each_function
def test_one_name_for_folder_package_binary_and_code(function):
    name = kebab(function)
    package = manifest(function)
    assert package["package"]["name"] == name
    # Without a [[bin]] of another name, the binary has the package's.
    assert "bin" not in package
    assert (crate(function) / "src/main.rs").is_file()
    assert FUNCTIONS[function]["CodeUri"] == f"target/lambda/{name}/"
    assert f'const FUNCTION: &str = "{name}";' in source(function)


@each_function
def test_the_route_is_the_same_everywhere(function):
    routes = [f"{e['Properties']['Method']} {e['Properties']['Path']}"
              for e in FUNCTIONS[function].get("Events", {}).values() if e["Type"] == "HttpApi"]
    named = re.findall(r'"((?:DELETE|GET|HEAD|PATCH|POST|PUT) /[^"]*|\$default)"', source(function))
    assert list(dict.fromkeys(named)) == [route.removeprefix("ANY ") for route in routes]
    assert re.findall(r"^\| route \| `(.+)` \|$", (crate(function) / "README.md").read_text(), re.M) == routes


@each_function
def test_the_queue_is_the_same_everywhere(function):
    queues = [queue for _, queue, reader in STACK.consumers() if reader == function]
    assert re.findall(r"^\| queue \| `(\w+)`", (crate(function) / "README.md").read_text(), re.M) == queues


@each_function
def test_the_stream_is_the_same_everywhere(function):
    tables = [table for _, table, follower in STACK.followers() if follower == function]
    assert re.findall(r"^\| stream \| `(\w+)`", (crate(function) / "README.md").read_text(), re.M) == tables


@each_function
def test_environment(function):
    read = re.findall(r'\b(required|optional)\(\s*"([A-Z0-9_]+)"', source(function))
    if "Urls::read" in source(function):
        urls = (ROOT / "shared" / "plixo-erp" / "src" / "urls.rs").read_text()
        read += [("required", variable) for variable in re.findall(r'\burl\("([A-Z0-9_]+)"\)', urls)]
    assert len(read) == len(set(read))
    told = table(function, "Environment") if read else []
    assert {(variable, kind) for variable, kind, _ in told} == {(v, k) for k, v in read}
    set_here = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
    assert set(set_here) == {variable for _, variable in read}


@each_function
def test_only_one_place_reads_the_environment(function):
    assert "std::env" not in source(function)


@each_function
def test_rights_are_told_each_with_its_reason(function):
    rows = table(function, "AWS actions")
    told = [(action, resource, condition) for action, resource, condition, _ in rows]
    assert len(told) == len(set(told))
    assert set(told) == rights(function)
    assert all(why for *_, why in rows)


@each_function
def test_each_right_has_a_call_and_each_adapter_a_right(function):
    used = {}
    for name, dependency in manifest(function)["dependencies"].items():
        features = dependency.get("features", []) if isinstance(dependency, dict) else []
        for adapter in [(name, None)] + [(name, feature) for feature in features]:
            if adapter in ADAPTERS:
                service, *paths = ADAPTERS[adapter]
                used[service] = used.get(service, "") + "".join((ROOT / path).read_text() for path in paths)

    reads_queue = any(reader == function for _, _, reader in STACK.consumers())
    reads_stream = any(follower == function for _, _, follower in STACK.followers())
    by_lambda = BY_LAMBDA | (BY_EVENT_SOURCE if reads_queue else set()) | (BY_STREAM if reads_stream else set())
    own = {action for action, _, condition in rights(function) if condition != "kms:ViaService"} - by_lambda
    for action in own:
        service, _, operation = action.partition(":")
        calls = CALLS.get(action, (f".{re.sub(r'(?<!^)(?=[A-Z])', '_', operation).lower()}()",))
        assert any(call in used.get(service, "") for call in calls), \
            f"{function} may {action}, and no adapter that it uses calls it"
    assert {action.partition(":")[0] for action in own} == set(used)


@each_function
def test_what_is_at_rest_is_opened_through_its_service(function):
    via = {"secretsmanager", "dynamodb", "s3"} & {action.partition(":")[0] for action, _, _ in rights(function)}
    role = STACK.target(STACK.properties(function)["Role"], "AWS::IAM::Role")
    services = {
        service["Fn::Sub"].partition(".")[0]
        for name, s in STACK.statements() if name == role
        for service in listed(s.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", []))
    }
    assert services == via


@each_function
def test_alarms_are_told_each_with_what_to_do(function):
    rows = table(function, "Alarms")
    assert {name for name, _, _ in rows} == alarms(function)
    assert all(when and what for _, when, what in rows)


def test_each_alarm_of_ours_watches_a_metric_that_is_written():
    line = (ROOT / "shared/plixo-lambda/src/line.rs").read_text()
    metrics = set(re.findall(r'count\("(\w+)"\)', line)) | set(re.findall(r'Metric \{ name: "(\w+)"', line))
    assert 'namespace: "Plixo"' in line
    watched = [p for _, p in STACK.of("AWS::CloudWatch::Alarm") if p["Namespace"] == "Plixo"]
    assert watched
    for p in watched:
        [dimension] = p["Dimensions"]
        assert p["MetricName"] in metrics
        assert dimension["Name"] == "function"
        assert dimension["Value"] in {kebab(function) for function in FUNCTIONS}


def test_adapters_are_where_they_are_looked_for():
    for (name, feature), (_, *paths) in ADAPTERS.items():
        assert all((ROOT / path).is_file() for path in paths)
        features = tomllib.loads((ROOT / "shared" / name / "Cargo.toml").read_text()).get("features", {})
        assert feature is None or feature in features
