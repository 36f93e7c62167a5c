"""The template as it is deployed locally, from small SAM templates that go through the real transform."""

import pytest

from infra.local import template as templates

TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {"Architecture": {"Type": "String", "Default": "arm64"}},
    "Resources": {
        "Api": {
            "Type": "AWS::Serverless::HttpApi",
            "Properties": {
                "FailOnWarnings": True,
                "CorsConfiguration": {"AllowOrigins": ["https://example.com"], "MaxAge": 60},
                "Auth": {
                    "Authorizers": {
                        "Token": {
                            "IdentitySource": "$request.header.Authorization",
                            "JwtConfiguration": {"issuer": "https://issuer.example", "audience": ["plixo"]},
                        },
                        "Session": {
                            "FunctionArn": "arn:aws:lambda:eu-west-1:000000000000:function:session",
                            "AuthorizerPayloadFormatVersion": "2.0",
                            "EnableSimpleResponses": True,
                            "FunctionInvokeRole": "NONE",
                            "Identity": {"Headers": ["Cookie"], "ReauthorizeEvery": 30},
                        },
                    }
                },
            },
        },
        "Receiver": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "CodeUri": "target/lambda/webhook-stripe/",
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Architectures": [{"Ref": "Architecture"}],
                "Role": {"Fn::GetAtt": ["ReceiverRole", "Arn"]},
                "Events": {
                    "Delivery": {
                        "Type": "HttpApi",
                        "Properties": {"ApiId": {"Ref": "Api"}, "Method": "POST", "Path": "/webhooks/{endpoint}"},
                    },
                    "Read": {
                        "Type": "HttpApi",
                        "Properties": {
                            "ApiId": {"Ref": "Api"},
                            "Method": "GET",
                            "Path": "/v1/orgs",
                            "Auth": {"Authorizer": "Token", "AuthorizationScopes": ["read"]},
                        },
                    },
                    "Page": {
                        "Type": "HttpApi",
                        "Properties": {
                            "ApiId": {"Ref": "Api"},
                            "Method": "ANY",
                            "Path": "/ops",
                            "Auth": {"Authorizer": "Session"},
                        },
                    },
                    "Rest": {"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Api"}}},
                },
            },
        },
        "ReceiverRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Policies": [
                    {
                        "PolicyName": "receiver",
                        "PolicyDocument": {
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Action": ["dynamodb:BatchGetItem", "dynamodb:PutItem"],
                                    "Resource": [{"Fn::GetAtt": ["Ledger", "Arn"]}, {"Fn::GetAtt": ["Events", "Arn"]}],
                                },
                                {
                                    "Effect": "Allow",
                                    "Action": "secretsmanager:GetSecretValue",
                                    "Resource": {"Fn::Sub": "arn:aws:secretsmanager:::secret:plixo/*"},
                                },
                            ]
                        },
                    }
                ]
            },
        },
        "Events": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {"TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True}},
        },
        "Ledger": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
    },
}
SECRET = "Receiver:secretsmanager:GetSecretValue@arn:aws:secretsmanager:::secret:plixo/*"


@pytest.fixture(name="expanded")
def expand(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return templates.expand(TEMPLATE, {"Receiver": "s3://code/receiver.zip"}, {"Architecture": "x86_64"})


def of_type(template: dict, kind: str) -> dict[str, dict]:
    return {n: r["Properties"] for n, r in template["Resources"].items() if r["Type"] == f"AWS::ApiGatewayV2::{kind}"}


def test_packages_are_the_last_part_of_code_uri():
    assert templates.packages(TEMPLATE) == {"Receiver": "webhook-stripe"}


def test_code_comes_from_s3_and_parameters_are_given(expanded):
    function = expanded["Resources"]["Receiver"]["Properties"]
    assert function["Code"] == {"S3Bucket": "code", "S3Key": "receiver.zip"}
    assert "Transform" not in expanded
    assert TEMPLATE["Resources"]["Receiver"]["Properties"]["CodeUri"] == "target/lambda/webhook-stripe/"


def test_an_api_has_no_body_left(expanded):
    assert of_type(expanded, "Api") == {
        "Api": {
            "ProtocolType": "HTTP",
            "Name": {"Ref": "AWS::StackName"},
            "CorsConfiguration": {"AllowOrigins": ["https://example.com"], "MaxAge": 60},
        }
    }


def test_every_route_leads_to_the_function(expanded):
    routes = {route["RouteKey"]: route for route in of_type(expanded, "Route").values()}
    assert set(routes) == {"POST /webhooks/{endpoint}", "GET /v1/orgs", "ANY /ops", "$default"}
    [(integration, properties)] = of_type(expanded, "Integration").items()
    assert "${Receiver.Arn}" in properties["IntegrationUri"]["Fn::Sub"]
    assert properties["PayloadFormatVersion"] == "2.0"
    for route in routes.values():
        assert route["ApiId"] == {"Ref": "Api"}
        assert route["Target"] == {"Fn::Join": ["/", ["integrations", {"Ref": integration}]]}


def test_routes_keep_their_authorizers(expanded):
    routes = {route["RouteKey"]: route for route in of_type(expanded, "Route").values()}
    authorizers = of_type(expanded, "Authorizer")

    def authorizer(key: str) -> dict:
        return authorizers[routes[key]["AuthorizerId"]["Ref"]]

    assert routes["POST /webhooks/{endpoint}"]["AuthorizationType"] == "NONE"
    assert "AuthorizerId" not in routes["POST /webhooks/{endpoint}"]
    assert routes["GET /v1/orgs"]["AuthorizationType"] == "JWT"
    assert routes["GET /v1/orgs"]["AuthorizationScopes"] == ["read"]
    assert authorizer("GET /v1/orgs") == {
        "ApiId": {"Ref": "Api"},
        "Name": "Token",
        "AuthorizerType": "JWT",
        "IdentitySource": ["$request.header.Authorization"],
        "JwtConfiguration": {"Issuer": "https://issuer.example", "Audience": ["plixo"]},
    }
    assert routes["ANY /ops"]["AuthorizationType"] == "CUSTOM"
    session = authorizer("ANY /ops")
    assert "function:session" in str(session.pop("AuthorizerUri"))
    assert session == {
        "ApiId": {"Ref": "Api"},
        "Name": "Session",
        "AuthorizerType": "REQUEST",
        "IdentitySource": ["$request.header.Cookie"],
        "AuthorizerPayloadFormatVersion": "2.0",
        "AuthorizerResultTtlInSeconds": 30,
        "EnableSimpleResponses": True,
    }


def test_an_authorizer_without_an_identity_source_has_none():
    scheme = {"x-amazon-apigateway-authorizer": {"type": "request", "authorizerUri": "uri"}}
    body = {"info": {"title": "api"}, "paths": {}, "components": {"securitySchemes": {"Session": scheme}}}
    api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}
    [session] = of_type(templates.explicit_routes({"Resources": {"Api": api}}), "Authorizer").values()
    assert session["IdentitySource"] == []


def test_an_integration_that_is_not_understood_is_refused():
    operation = {
        "x-amazon-apigateway-integration": {"type": "http_proxy", "httpMethod": "GET", "uri": "https://x.example"}
    }
    body = {"info": {"title": "api"}, "paths": {"/": {"get": operation}}}
    api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}
    with pytest.raises(templates.TemplateError, match="http_proxy"):
        templates.explicit_routes({"Resources": {"Api": api}})


def test_tables_that_expire_are_found(expanded):
    assert templates.times_to_live(expanded) == {"Events": "expires_at"}


def test_rights_are_listed_one_by_one(expanded):
    assert templates.rights(expanded) == [
        "Receiver:dynamodb:BatchGetItem@Events",
        "Receiver:dynamodb:BatchGetItem@Ledger",
        "Receiver:dynamodb:PutItem@Events",
        "Receiver:dynamodb:PutItem@Ledger",
        SECRET,
    ]


def test_each_right_can_be_taken_away_alone(expanded):
    rights = templates.rights(expanded)
    for right in rights:
        less = templates.without(expanded, right)
        assert templates.rights(less) == [other for other in rights if other != right]
    assert templates.rights(expanded) == rights


def test_a_right_can_be_taken_away_on_all_resources(expanded):
    less = templates.without(expanded, "Receiver:dynamodb:PutItem")
    assert [right for right in templates.rights(less) if "PutItem" in right] == []
    assert "Receiver:dynamodb:BatchGetItem@Ledger" in templates.rights(less)


def test_a_right_is_taken_away_from_what_is_deployed(expanded):
    def arn(resource):
        return "arn:of:" + (resource.get("Fn::Sub") or resource["Fn::GetAtt"][0])

    [policy] = expanded["Resources"]["ReceiverRole"]["Properties"]["Policies"]
    several, one = policy["PolicyDocument"]["Statement"]
    live = [several | {"Resource": [*map(arn, several["Resource"])]}, one | {"Resource": arn(one["Resource"])}]
    for right in templates.rights(expanded):
        _, action, target = templates.parts(right)
        left = templates.deployed_without(expanded, right, {"receiver": {"Version": "2012-10-17", "Statement": live}})
        assert left.keys() == {"receiver"} and left["receiver"]["Version"] == "2012-10-17"
        assert allowed(left["receiver"]["Statement"]) == allowed(live) - {(action, f"arn:of:{target}")}


def allowed(statements: list[dict]) -> set[tuple[str, str]]:
    def several(value):
        return value if isinstance(value, list) else [value]

    return {(action, arn) for it in statements for action in several(it["Action"]) for arn in several(it["Resource"])}


def test_a_policy_without_statements_is_dropped(expanded):
    for right in templates.rights(expanded):
        expanded = templates.without(expanded, right)
    assert expanded["Resources"]["ReceiverRole"]["Properties"]["Policies"] == []


@pytest.mark.parametrize(
    "right",
    ["Receiver:dynamodb:Scan", "Receiver:dynamodb:PutItem@Nowhere", "Ledger:dynamodb:PutItem", "Nobody:a:b", "x"],
)
def test_a_right_that_is_not_there_is_refused(expanded, right):
    with pytest.raises(templates.TemplateError):
        templates.without(expanded, right)
    with pytest.raises(templates.TemplateError):
        templates.deployed_without(expanded, right, {})


def test_a_reference_to_a_secret_asks_for_its_arn():
    where = {"Ref": "Keys"}, {"Fn::Sub": "${Keys}/${Other}"}, {"Fn::GetAtt": ["Keys", "Id"]}, {"Ref": "Other"}
    resources = {"Keys": {"Type": "AWS::SecretsManager::Secret"}, "Other": {"Type": "x", "Properties": {"Where": [*where]}}}
    told = templates.by_arn({"Resources": resources})["Resources"]["Other"]["Properties"]["Where"]
    arn = {"Fn::GetAtt": ["Keys", "Id"]}
    assert told == [arn, {"Fn::Sub": "${Keys.Id}/${Other}"}, arn, {"Ref": "Other"}]


def test_buckets_take_what_comes_over_plain_http_and_refuse_the_rest_as_before():
    plain = {"Sid": "OnlyByTls", "Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    other = {"Sid": "Other", "Effect": "Deny", "Condition": {"Null": {"x": "false"}}}
    policy = {"Type": "AWS::S3::BucketPolicy", "Properties": {"PolicyDocument": {"Statement": [plain, other]}}}
    told = templates.over_plain_http({"Resources": {"Policy": policy}})["Resources"]["Policy"]
    assert told["Properties"]["PolicyDocument"]["Statement"] == [other]


def test_rotations_are_taken_out_and_told():
    schedule = {
        "SecretId": {"Fn::GetAtt": ["Keys", "Id"]},
        "RotationLambdaARN": {"Fn::GetAtt": ["Job", "Arn"]},
        "RotationRules": {"AutomaticallyAfterDays": 30},
    }
    secret = {"Type": "AWS::SecretsManager::Secret"}
    rotation = {"Type": "AWS::SecretsManager::RotationSchedule", "Properties": schedule}
    template = {"Resources": {"Keys": secret, "Rotation": rotation}}
    assert templates.rotations(template) == {"Keys": {"function": "Job", "rules": {"AutomaticallyAfterDays": 30}}}
    assert templates.without_rotations(template) == {"Resources": {"Keys": secret}}
