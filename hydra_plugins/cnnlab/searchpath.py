"""The search path: the project's options, then those of installed packages, then cnnlab's."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from cnnlab.core import project


class CnnlabSearchPath(SearchPathPlugin):
    """Puts the folders of options that do not come with cnnlab before those that do."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        main = next((each for each in search_path.get_path() if each.provider == "main"), None)
        shipped = project.shipped("conf")
        if main is None or Path(main.path.removeprefix("file://")) != shipped:
            return  # another Hydra program's, which happens to run where cnnlab is installed
        for folder in project.folders("conf"):
            if folder != shipped:
                search_path.prepend("cnnlab project", f"file://{folder}", anchor="main")
