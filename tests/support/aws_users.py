"""Users of the local account with just the rights that docs/aws-setup.md gives them."""

from __future__ import annotations

import re
from pathlib import Path

from iotprovision.cloud.aws.account import Account

PAGE = (Path(__file__).parents[2] / "docs" / "aws-setup.md").read_text(encoding="utf-8")


def policy(method: str) -> str:
    _, _, section = PAGE.partition(f"## The least rights of the profile for `{method}`\n")
    (text,) = re.findall(r"```json\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return str(text).replace("REGION", "us-east-1").replace("ACCOUNT", "111122223333")


def user(root: Account, folder: Path, method: str) -> Account:
    """The account as a profile sees it that has just the rights on the page."""
    root.call("iam", "CreateUser", UserName=method)
    root.call("iam", "PutUserPolicy", UserName=method, PolicyName="iotprovision", PolicyDocument=policy(method))
    key = root.call("iam", "CreateAccessKey", UserName=method)["AccessKey"]
    file = folder / "config"
    file.write_text(
        "[profile work]\nregion=us-east-1\n"
        f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
    )
    return Account("work", endpoint_url=root.endpoint_url, config_file=file)
