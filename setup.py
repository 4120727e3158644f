"""What pyproject.toml cannot say: TensorFlow's own flags, with which this project's operations are compiled."""

import os
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildOperations(build_ext):
    """Makes libraries of TensorFlow operations, which are no Python modules."""

    def build_extensions(self) -> None:
        """Asks TensorFlow, which is there by now, for its flags."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        # TensorFlow's headers are the system's: their warnings are not ours.
        flags = [flag.replace("-I", "-isystem", 1) for flag in tf.sysconfig.get_compile_flags()]
        for extension in self.extensions:
            extension.extra_compile_args = ["-O3", "-fno-math-errno", "-g0", "-Wno-sign-compare", *flags]
            extension.extra_link_args = tf.sysconfig.get_link_flags()
        super().build_extensions()

    def get_ext_filename(self, fullname: str) -> str:
        """Without the interpreter's version."""
        return os.path.join(*fullname.split(".")) + ".so"


setup(
    cmdclass={"build_ext": BuildOperations},
    ext_modules=[
        Extension(
            "trainer.native.liboperations",
            sorted(glob("trainer/native/*.cc")),
            include_dirs=["."],
            depends=glob("trainer/native/*.h"),
            language="c++",
        )
    ],
)
