"""`template.yaml` as CloudFormation gets it: after the SAM transform, without asking AWS anything."""

import copy
import logging
import os
import pathlib
import types

from samtranslator.open_api import open_api
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

REGION = "eu-west-1"

# The transform copies the whole OpenAPI document twice for each route, which takes seconds; in place comes to the same.
open_api._deepcopy = lambda document: document

# It says at exit that nobody has fetched its usage figures.
logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)


def load(path: pathlib.Path) -> dict:
    """The template as it is written."""
    return yaml_parse(path.read_text())


def expand(template: dict) -> dict:
    """The template after the SAM transform."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # The transform takes only code that is uploaded.
            resource["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
    # It asks boto3 for the region, of which it only needs the partition.
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    # The loader is for managed policies by short name; the template writes its statements out.
    return transform(template, {}, types.SimpleNamespace(load=dict))
