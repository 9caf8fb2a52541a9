"""Put course.toml, which stands at the root, beside the module that reads it; all else is in pyproject.toml."""

from setuptools import setup
from setuptools.command.build_py import build_py


class WithCourse(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:  # which reads the one at the root
            self.copy_file("course.toml", f"{self.build_lib}/diffusion_lab/course/course.toml")


setup(cmdclass={"build_py": WithCourse})
