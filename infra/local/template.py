"""`template.yaml` as the emulator can deploy it. Pure: a template in, a template out.

The emulator deploys plain CloudFormation, with gaps that are closed here: functions' code must already be in S3; the
routes of an HTTP API, which the SAM transform writes into the OpenAPI `Body` of `AWS::ApiGatewayV2::Api`, must be
resources of their own; a reference to a secret must ask for its ARN, for it gives the name; a secret's rotation must
be switched on by API; and it speaks plain HTTP, which buckets refuse.
"""

import copy
import hashlib
import json
import pathlib
import re
import types
from collections.abc import Callable

from samtranslator.open_api import open_api
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# The transform copies the whole OpenAPI document twice for each route, which takes seconds; in place comes to the same.
open_api._deepcopy = lambda document: document

SECRET = "AWS::SecretsManager::Secret"
BUCKET_POLICY = "AWS::S3::BucketPolicy"
PLAIN_HTTP = {"Bool": {"aws:SecureTransport": "false"}}
ROTATION = "AWS::SecretsManager::RotationSchedule"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
ANY_METHOD = "x-amazon-apigateway-any-method"
DEFAULT_ROUTE = "/$default"
LAMBDA_AUTHORIZER = (
    "AuthorizerUri",
    "AuthorizerPayloadFormatVersion",
    "AuthorizerResultTtlInSeconds",
    "EnableSimpleResponses",
)


class TemplateError(Exception):
    """The template holds what the local stack does not understand, or lacks what it was asked for."""


def load(path: pathlib.Path) -> dict:
    """The template as it is written."""
    return yaml_parse(path.read_text())


def packages(template: dict) -> dict[str, str]:
    """The package of each function by logical id, from `CodeUri: target/lambda/<package>/`."""
    return {
        name: pathlib.PurePosixPath(resource["Properties"]["CodeUri"]).name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def expand(template: dict, code: dict[str, str], parameters: dict[str, str]) -> dict:
    """The template after the SAM transform, with explicit routes and secrets by their ARNs; `code` names the S3 URI of each function's zip."""
    template = copy.deepcopy(template)
    for name, uri in code.items():
        template["Resources"][name]["Properties"]["CodeUri"] = uri
    # The loader is for managed policies by short name; the template writes its statements out.
    expanded = transform(template, parameters, types.SimpleNamespace(load=dict))
    expanded.pop("Transform", None)
    return over_plain_http(by_arn(explicit_routes(expanded)))


def by_arn(template: dict) -> dict:
    """The template in which references to secrets give their ARNs, as on AWS."""
    secrets = {name for name, resource in template["Resources"].items() if resource["Type"] == SECRET}

    def told(value):
        match value:
            case {"Ref": str(name)} if name in secrets:
                return {"Fn::GetAtt": [name, "Id"]}
            case dict():
                return {key: told(each) for key, each in value.items()}
            case list():
                return [told(each) for each in value]
            case str():
                return re.sub(r"\$\{(\w+)\}", lambda found: f"${{{found[1]}.Id}}" if found[1] in secrets else found[0], value)
        return value

    return told(template)


def over_plain_http(template: dict) -> dict:
    """The template whose buckets take what comes over plain HTTP: the emulator, which listens on this machine only, has no TLS."""
    for resource in template["Resources"].values():
        if resource["Type"] == BUCKET_POLICY:
            policy = resource["Properties"]["PolicyDocument"]
            policy["Statement"] = [s for s in policy["Statement"] if s.get("Condition") != PLAIN_HTTP]
    return template


def explicit_routes(template: dict) -> dict:
    """The template with each HTTP API's OpenAPI `Body` turned into integrations, routes and authorizers."""
    resources = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in resource["Properties"]:
            resources.update(_explicit_api(name, resource))
        else:
            resources[name] = resource
    return {**template, "Resources": resources}


def _explicit_api(api: str, resource: dict) -> dict:
    body = resource["Properties"]["Body"]
    properties = {key: value for key, value in resource["Properties"].items() if key not in ("Body", "FailOnWarnings")}
    properties |= {"ProtocolType": "HTTP", "Name": body["info"]["title"]}
    if cors := body.get("x-amazon-apigateway-cors"):
        properties["CorsConfiguration"] = {key[0].upper() + key[1:]: value for key, value in cors.items()}

    schemes = body.get("components", {}).get("securitySchemes", {})
    made = {api: {**resource, "Properties": properties}}
    for name, scheme in schemes.items():
        if "x-amazon-apigateway-authorizer" in scheme:
            made[f"{api}Authorizer{_digest(name)}"] = {
                "Type": "AWS::ApiGatewayV2::Authorizer",
                "Properties": _authorizer(api, name, scheme["x-amazon-apigateway-authorizer"]),
            }
    for path, item in body.get("paths", {}).items():
        for method, operation in item.items():
            if method not in (*METHODS, ANY_METHOD):
                raise TemplateError(f"{api} {path}: {method} is no method")
            key = "$default" if path == DEFAULT_ROUTE else f"{_verb(method)} {path}"
            integration = operation["x-amazon-apigateway-integration"]
            integration_id = f"{api}Integration{_digest(json.dumps(integration, sort_keys=True))}"
            made[integration_id] = {
                "Type": "AWS::ApiGatewayV2::Integration",
                "Properties": _integration(api, integration),
            }
            made[f"{api}Route{_digest(key)}"] = {
                "Type": "AWS::ApiGatewayV2::Route",
                "Properties": {
                    "ApiId": {"Ref": api},
                    "RouteKey": key,
                    "Target": {"Fn::Join": ["/", ["integrations", {"Ref": integration_id}]]},
                    **_authorization(api, operation.get("security", []), schemes),
                },
            }
    return made


def _verb(method: str) -> str:
    return "ANY" if method == ANY_METHOD else method.upper()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _integration(api: str, integration: dict) -> dict:
    if integration["type"].lower() != "aws_proxy":
        raise TemplateError(f"{api}: integrations of type {integration['type']} are not understood")
    properties = {
        "ApiId": {"Ref": api},
        "IntegrationType": "AWS_PROXY",
        "IntegrationMethod": integration["httpMethod"],
        "IntegrationUri": integration["uri"],
        "PayloadFormatVersion": integration["payloadFormatVersion"],
    }
    if "timeoutInMillis" in integration:
        properties["TimeoutInMillis"] = integration["timeoutInMillis"]
    return properties


def _authorizer(api: str, name: str, authorizer: dict) -> dict:
    properties = {"ApiId": {"Ref": api}, "Name": name, "AuthorizerType": authorizer["type"].upper()}
    # Where there is none, the emulator would take the header `Authorization`.
    source = authorizer.get("identitySource", [])
    properties["IdentitySource"] = [source] if isinstance(source, str) else source
    if jwt := authorizer.get("jwtConfiguration"):
        properties["JwtConfiguration"] = {"Issuer": jwt["issuer"], "Audience": jwt["audience"]}
    for key in LAMBDA_AUTHORIZER:
        if (value := authorizer.get(key[0].lower() + key[1:])) is not None:
            properties[key] = value
    return properties


def _authorization(api: str, security: list, schemes: dict) -> dict:
    if not security:
        return {"AuthorizationType": "NONE"}
    [(name, scopes)] = security[0].items()
    if name == "NONE":
        return {"AuthorizationType": "NONE"}
    scheme = schemes[name]
    if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4":
        return {"AuthorizationType": "AWS_IAM"}
    kind = scheme["x-amazon-apigateway-authorizer"]["type"].lower()
    properties = {
        "AuthorizationType": {"jwt": "JWT", "request": "CUSTOM"}[kind],
        "AuthorizerId": {"Ref": f"{api}Authorizer{_digest(name)}"},
    }
    if scopes:
        properties["AuthorizationScopes"] = scopes
    return properties


def times_to_live(template: dict) -> dict[str, str]:
    """The attribute by which each table's items expire, by the table's logical id."""
    return {
        name: resource["Properties"]["TimeToLiveSpecification"]["AttributeName"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::DynamoDB::Table" and "TimeToLiveSpecification" in resource["Properties"]
    }


def rotations(template: dict) -> dict[str, dict]:
    """How each secret is rotated, by the secret's logical id: `function`, by its logical id, and `rules`."""
    return {
        _named(schedule["Properties"]["SecretId"]): {
            "function": _named(schedule["Properties"]["RotationLambdaARN"]),
            "rules": schedule["Properties"]["RotationRules"],
        }
        for schedule in template["Resources"].values()
        if schedule["Type"] == ROTATION
    }


def without_rotations(template: dict) -> dict:
    """The template without what the emulator's CloudFormation does not know."""
    kept = {name: resource for name, resource in template["Resources"].items() if resource["Type"] != ROTATION}
    return {**template, "Resources": kept}


def rights(template: dict) -> list[str]:
    """Every right that a function's role has, as `FUNCTION:ACTION@RESOURCE`, in a form that `without` takes."""
    found = []
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        for statement in _statements(template, name):
            if statement["Effect"] == "Allow":
                found += [
                    f"{name}:{action}@{_named(target)}"
                    for action in _list(statement["Action"])
                    for target in _list(statement["Resource"])
                ]
    return sorted(set(found))


def without(template: dict, right: str) -> dict:
    """The template in which a function's role lacks one right: `FUNCTION:ACTION`, or `FUNCTION:ACTION@RESOURCE` for the
    action on that resource only (a logical id, or the text as `rights` shows it).
    """
    function, action, target = parts(right)
    template = copy.deepcopy(template)
    for policy in _having(template, right):
        document = policy["PolicyDocument"]
        document["Statement"] = _less(document["Statement"], action, lambda resource: target in ("", _named(resource)))
    _drop_empty(template, function)
    return template


def deployed_without(template: dict, right: str, deployed: dict[str, dict]) -> dict[str, dict]:
    """What is left of a role's policies without one right, as `without` takes it: of those that give it, the documents as
    they are deployed, by the policies' names.
    """
    _, action, target = parts(right)
    left = {}
    for policy in _having(template, right):
        document = deployed[policy["PolicyName"]]
        # Deployed, a statement names its resources in the same order by their ARNs.
        meant = {
            arn
            for written, live in zip(policy["PolicyDocument"]["Statement"], document["Statement"], strict=True)
            for resource, arn in zip(_list(written["Resource"]), _list(live["Resource"]), strict=True)
            if target in ("", _named(resource))
        }
        left[policy["PolicyName"]] = {**document, "Statement": _less(document["Statement"], action, meant.__contains__)}
    return left


def parts(right: str) -> tuple[str, str, str]:
    """Function, action and resource of a right; the last is empty where it is not told."""
    function, _, rest = right.partition(":")
    action, _, target = rest.partition("@")
    return function, action, target


def _having(template: dict, right: str) -> list[dict]:
    """The policies that give a right."""
    function, action, target = parts(right)

    def gives(statement: dict) -> bool:
        meant = any(target in ("", _named(resource)) for resource in _list(statement["Resource"]))
        return statement["Effect"] == "Allow" and action in _list(statement["Action"]) and meant

    found = [p for p in _policies(template, function) if any(map(gives, p["PolicyDocument"]["Statement"]))]
    if not found:
        raise TemplateError(f"{right}: no such right; there are\n  " + "\n  ".join(rights(template)))
    return found


def _less(statements: list[dict], action: str, meant: Callable[[object], bool]) -> list[dict]:
    """The statements without that action on the resources that are meant."""
    kept = []
    for statement in statements:
        actions, resources = _list(statement["Action"]), _list(statement["Resource"])
        if statement["Effect"] != "Allow" or action not in actions or not any(map(meant, resources)):
            kept.append(statement)
            continue
        if others := [a for a in actions if a != action]:
            kept.append({**statement, "Action": others})
        if elsewhere := [resource for resource in resources if not meant(resource)]:
            kept.append({**statement, "Action": action, "Resource": elsewhere})
    return kept


def _role(template: dict, function: str) -> dict:
    try:
        arn = template["Resources"][function]["Properties"]["Role"]
        return template["Resources"][arn["Fn::GetAtt"][0]]["Properties"]
    except (KeyError, TypeError):
        raise TemplateError(f"{function} is no function with a role of this template") from None


def _policies(template: dict, function: str) -> list[dict]:
    return _role(template, function).get("Policies", [])


def _statements(template: dict, function: str) -> list[dict]:
    return [s for policy in _policies(template, function) for s in policy["PolicyDocument"]["Statement"]]


def _drop_empty(template: dict, function: str) -> None:
    role = _role(template, function)
    role["Policies"] = [policy for policy in role["Policies"] if policy["PolicyDocument"]["Statement"]]


def _list(value) -> list:
    return value if isinstance(value, list) else [value]


def _named(target) -> str:
    """A resource of a statement, short: the logical id where it is one resource of the stack, else its text."""
    match target:
        case {"Fn::GetAtt": [name, *_]} | {"Ref": name}:
            return name
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::Sub": [str(text), *_]}:
            return text
        case str(text):
            return text
    return json.dumps(target)
