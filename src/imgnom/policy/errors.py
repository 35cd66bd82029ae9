"""PolicyError: one clear line that names the file, the key and what is allowed there."""

from pathlib import Path


class PolicyError(Exception):
    def __init__(self, file: Path | str, key: str, problem: str, allowed: str = "") -> None:
        self.file, self.key, self.problem, self.allowed = str(file), key, problem, allowed
        super().__init__(f"{self.file}: {key}: {problem}{f' (allowed: {allowed})' if allowed else ''}")
