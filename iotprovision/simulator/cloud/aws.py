"""The cloud account of a simulated run: ministack in a process of its own, on loopback, with its state in a folder.

The account is the same in every run on one folder: device certificates, stack, rule and Lambda are kept; the ports
are not, so whoever needs them asks the running object. The host name of the MQTT endpoint does not depend on ports
and stays the same.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from iotprovision.errors import CloudError, LockedError, StoreError
from iotprovision.simulator.board.surroundings import CloudAddress
from iotprovision.simulator.cloud.aws_process import EXIT_LOCKED, LOOPBACK

logger = logging.getLogger(__name__)

ACCOUNT = "111122223333"
REGION = "us-east-1"
LOCAL_HOST = "localhost"
# Half a second on a quiet machine; a cold disk and a busy machine may need many times that.
START_TIMEOUT = 60.0
# A process whose owner died may still be saving the state, which takes well under a second.
PATIENCE = 10.0
# The process gives itself ten seconds.
STOP_TIMEOUT = 15.0


@dataclass(frozen=True)
class _Running:
    process: subprocess.Popen[bytes]
    http_port: int
    mqtt_port: int


class LocalCloud:
    """A context manager: ``with LocalCloud(folder) as cloud: ...``.

    :param folder: where the account lives; made when missing
    :param profile: a further name in the configuration file, beside ``default``
    :param patience: seconds to wait for another run that uses the folder
    :param host_name: what devices call it, where that is not a name under ``localhost``; it only names the
        certificate of the server, nothing is ever looked up
    """

    def __init__(
        self, folder: Path, profile: str = "default", patience: float = PATIENCE, host_name: str = LOCAL_HOST
    ) -> None:
        self.folder = folder
        self.profile = profile
        self.config_file = folder / "aws-config"
        self.certificate_authority_file = folder / "server-ca.pem"
        self.log_file = folder / "cloud.log"
        self._patience = patience
        self._host_name = host_name
        self._running: _Running | None = None

    def __enter__(self) -> LocalCloud:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where the AWS interfaces answer, ``http://127.0.0.1:PORT``."""
        return f"http://{LOOPBACK}:{self._require().http_port}"

    @property
    def mqtt_port(self) -> int:
        """Where devices connect with mutual TLS, on 127.0.0.1."""
        return self._require().mqtt_port

    @property
    def address(self) -> CloudAddress:
        """What a simulated board must know to reach this cloud instead of the real one."""
        name = f"*.{LOCAL_HOST}" if self._host_name == LOCAL_HOST else self._host_name
        return CloudAddress({name: self.mqtt_port}, str(self.certificate_authority_file))

    def start(self) -> None:
        """Start it and wait until HTTP and MQTT answer; nothing happens when this object runs already.

        :raises CloudError: ministack is not installed, or did not start (the log is named)
        :raises LockedError: another run uses this folder
        :raises StoreError: the folder cannot be written
        """
        if self._running is not None:
            return
        if importlib.util.find_spec("ministack") is None or importlib.util.find_spec("paho") is None:
            raise CloudError(
                "The local cloud is not installed",
                "A simulated run needs the packages ministack and paho-mqtt.",
                'pip install "iotprovision[simulator]", or pip install ".[simulator]" in a checkout',
            )
        try:
            for folder in (self.folder, self.folder / "state", self.folder / "temporary"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            key, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
            with self.log_file.open("ab") as log:
                process = self._spawn(log, key, secret)
        except OSError as error:
            raise StoreError(f"The local cloud cannot use {self.folder}", str(error)) from error
        try:
            ports = self._wait_until_ready(process)
            self._running = _Running(process, ports["http_port"], ports["mqtt_port"])
            self.certificate_authority_file.write_text(ports["certificate_authority"], encoding="ascii")
            self._write_config(key, secret)
        except BaseException:
            self._running = None
            self._end(process)
            raise
        logger.debug("local cloud: HTTP %d, MQTT %d", self._running.http_port, self._running.mqtt_port)

    def stop(self) -> None:
        """Save the account and end the process; nothing happens when it does not run."""
        running, self._running = self._running, None
        if running is not None:
            self._end(running.process)

    def _require(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the local cloud does not run")
        return self._running

    def _spawn(self, log: IO[bytes], key: str, secret: str) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {}
        # Out of the terminal's reach: Ctrl-C is for the owner, who then stops the cloud in order.
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            options["start_new_session"] = True
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "iotprovision.simulator.cloud.aws_process", str(self.folder), str(self._patience)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=self._environment(os.environ, key, secret),
            **options,
        )

    def _environment(self, inherited: Mapping[str, str], key: str, secret: str) -> dict[str, str]:
        """ministack's settings. Nothing of the user's AWS settings or proxies may reach it or the Lambda it runs."""
        foreign = ("AWS_", "MINISTACK_", "LOCALSTACK_", "LAMBDA_", "IOT_", "SFTP_")
        proxies = ("http_proxy", "https_proxy", "all_proxy", "services", "use_ssl", "edge_port")
        environment = {
            name: value
            for name, value in inherited.items()
            if not name.upper().startswith(foreign) and name.lower() not in proxies
        }
        temporary = str(self.folder / "temporary")
        nowhere = str(self.folder / "nowhere")
        environment.update(
            AUTH="true",
            AWS_ACCESS_KEY_ID=key,  # ministack takes this pair for the account's own
            AWS_SECRET_ACCESS_KEY=secret,
            AWS_CONFIG_FILE=nowhere,
            AWS_SHARED_CREDENTIALS_FILE=nowhere,
            AWS_EC2_METADATA_DISABLED="true",
            BIND_HOST=LOOPBACK,
            DOCKER_HOST=f"unix://{nowhere}",
            LOG_LEVEL="INFO",
            MINISTACK_ACCOUNT_ID=ACCOUNT,
            MINISTACK_HOST=self._host_name,
            MINISTACK_REGION=REGION,
            NO_PROXY="*",
            PERSIST_STATE="1",
            STATE_DIR=str(self.folder / "state"),
            SFTP_ENABLED="0",
            TMPDIR=temporary,
            TEMP=temporary,
            TMP=temporary,
            PYTHONUNBUFFERED="1",
        )
        return environment

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """The one line that the process prints. Read in a thread, because pipes cannot be waited for on Windows."""
        assert process.stdout is not None
        lines: list[bytes] = []
        stream = process.stdout
        reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
        reader.start()
        reader.join(START_TIMEOUT + self._patience)
        if lines and lines[0]:
            answer: dict[str, Any] = json.loads(lines[0])
            if not answer["certificate_authority"]:
                raise CloudError("The local cloud has no certificate authority", f"See {self.log_file}.")
            return answer
        if not reader.is_alive() and self._code(process) == EXIT_LOCKED:
            raise LockedError(
                "Another run uses the local cloud", f"Its folder is {self.folder}.", "wait until that run has ended"
            )
        raise CloudError("The local cloud did not start", f"Its log is {self.log_file}.\n{self._last_of_log()}")

    @staticmethod
    def _code(process: subprocess.Popen[bytes]) -> int | None:
        try:
            return process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return None

    def _last_of_log(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-3:])

    def _write_config(self, key: str, secret: str) -> None:
        """An AWS configuration file, so that other programs (the AWS command line) can look at the account too."""
        sections = dict.fromkeys(["default", self.profile])
        text = "".join(
            f"[{name if name == 'default' else f'profile {shlex.quote(name)}'}]\n"
            f"region = {REGION}\nendpoint_url = {self.endpoint_url}\n"
            f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n\n"
            for name in sections
        )
        temporary = self.config_file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(self.config_file)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """Closing standard input asks the process to save and end (see its module)."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            # An interrupt here does no harm: the process saves and ends without being watched.
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            logger.warning("the local cloud did not end in %.0f s and was killed", STOP_TIMEOUT)
            process.kill()
            process.wait()
        finally:
            process.stdout.close()
