"""Sphinx's settings: `make docs` builds the site, without network, warnings as errors."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext")]

import api_pages  # noqa: E402

import fastdl  # noqa: E402

project = "fastdl"
author = "The fastdl developers"
copyright = "The fastdl developers"
version = release = fastdl.__version__

extensions = [
    "fastdl_site",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "README.md"]
default_role = "py:obj"
nitpicky = False
math_number_all = False
html_math_renderer = "mathml"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The reference: a page a name, from the stubs, which list what each door has.
names = api_pages.write(Path(fastdl.__file__).parent, HERE / "api")
autosummary_generate = True
autosummary_imported_members = False
autosummary_filename_map = api_pages.file_names([name for door in names.values() for name in door])
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_mock_imports = [] if importlib.util.find_spec("torch") else ["torch"]
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,  # that page would load scripts from elsewhere
    "min_reported_time": 5,
    "copyfile_regex": r".*\.rst",
    "reset_modules": ("matplotlib",),
    "doc_module": ("fastdl",),
    "backreferences_dir": "api/backreferences",
    "inspect_global_variables": False,
    "capture_repr": (),
    "thumbnail_size": (480, 300),
}

html_theme = "pydata_sphinx_theme"
html_title = "fastdl"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "use_edit_page_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "tour": [], "install": []}
html_context = {"default_mode": "auto"}
