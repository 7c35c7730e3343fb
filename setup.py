"""What setup.cfg cannot say: conf/ and sweeps/ are beside the package, and installed inside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithOptions(build_py):
    """Copies the options into the package; an editable installation finds them where they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for name in ("conf", "sweeps"):
                shutil.copytree(name, Path(self.build_lib) / "cnnlab" / name, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithOptions})
