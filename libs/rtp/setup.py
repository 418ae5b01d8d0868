"""The one thing pyproject.toml cannot say: which cffi extension to build."""

from setuptools import setup

setup(cffi_modules=["build_core.py:ffibuilder"])
