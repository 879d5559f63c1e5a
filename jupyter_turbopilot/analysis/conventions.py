"""Conventional imports: the import line for well-known names. Pure.

Collected from the notebooks and examples of 2,600 packages: a name is listed if nearly all packages that
import it use the same line, and few use the name for anything else. For names with several meanings,
`BY_USE` distinguishes them by their use. Names outside these tables are ambiguous.
"""

from __future__ import annotations

# Modules under their own name.
_MODULES = """
    IPython PIL aiohttp argparse asyncio atexit astropy base64 binascii bisect boto3 cartopy collections
    contextlib csv ctypes cupy cv2 dask dataclasses difflib enum errno folium fsspec functools gc
    geodatasets geopandas getpass graphviz gzip h5py hashlib heapq httpx inspect io itertools jax joblib
    json librosa lightgbm locale logging lzma math matplotlib mimetypes mne multiprocessing nltk numbers
    numpy numpyro operator optax optuna os pandas pathlib pickle pkgutil platform plotly polars psutil
    pyproj pytest pywt pytz re requests rioxarray s3fs scipy seaborn shapely shlex shutil skimage socket
    spacy sqlite3 statistics subprocess sympy sys tarfile tempfile textwrap threading timeit torch
    torchaudio torchvision traceback transformers types typing unicodedata uuid warnings xarray xgboost
    yaml zarr zipfile zlib
"""

# Modules under their conventional alias.
SHORT = {
    "ak": "awkward",
    "alt": "altair",
    "az": "arviz",
    "ccrs": "cartopy.crs",
    "cfeature": "cartopy.feature",
    "da": "dask.array",
    "dd": "dask.dataframe",
    "go": "plotly.graph_objects",
    "gpd": "geopandas",
    "gv": "geoviews",
    "hv": "holoviews",
    "jnp": "jax.numpy",
    "mcolors": "matplotlib.colors",
    "mdates": "matplotlib.dates",
    "mlines": "matplotlib.lines",
    "mpatches": "matplotlib.patches",
    "mpimg": "matplotlib.image",
    "mpl": "matplotlib",
    "mticker": "matplotlib.ticker",
    "nib": "nibabel",
    "np": "numpy",
    "nx": "networkx",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "pn": "panel",
    "pv": "pyvista",
    "px": "plotly.express",
    "sitk": "SimpleITK",
    "sm": "statsmodels.api",
    "smf": "statsmodels.formula.api",
    "sns": "seaborn",
    "tf": "tensorflow",
    "tfds": "tensorflow_datasets",
    "xgb": "xgboost",
    "xr": "xarray",
}

# Functions and classes.
_MEMBERS = {
    "IPython.display": "clear_output",
    "abc": "ABC abstractmethod",
    "argparse": "ArgumentParser",
    "ast": "literal_eval",
    "astropy.coordinates": "SkyCoord",
    "astropy.time": "Time",
    "astropy.wcs": "WCS",
    "collections": "Counter OrderedDict defaultdict deque namedtuple",
    "collections.abc": "Callable Iterable Iterator Mapping Sequence",
    "concurrent.futures": "ThreadPoolExecutor ProcessPoolExecutor",
    "contextlib": "asynccontextmanager contextmanager suppress",
    "copy": "deepcopy",
    "dataclasses": "dataclass",
    "datetime": "timedelta",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "lru_cache partial reduce wraps",
    "io": "BytesIO StringIO",
    "itertools": "combinations groupby permutations zip_longest",
    "lightgbm": "LGBMClassifier LGBMRegressor",
    "matplotlib.animation": "FuncAnimation",
    "matplotlib.collections": "LineCollection",
    "matplotlib.colors": "LinearSegmentedColormap ListedColormap LogNorm",
    "matplotlib.gridspec": "GridSpec",
    "matplotlib.lines": "Line2D",
    "matplotlib.patches": "Patch",
    "matplotlib.ticker": "FormatStrFormatter MultipleLocator",
    "numpy.random": "default_rng",
    "numpy.testing": "assert_allclose",
    "operator": "attrgetter itemgetter",
    "pathlib": "Path",
    "pprint": "pformat",
    "scipy.integrate": "odeint solve_ivp",
    "scipy.interpolate": "interp1d",
    "scipy.io": "loadmat",
    "scipy.optimize": "curve_fit",
    "scipy.spatial.distance": "squareform",
    "sentence_transformers": "SentenceTransformer",
    "sklearn.base": "BaseEstimator TransformerMixin",
    "sklearn.cluster": "DBSCAN KMeans",
    "sklearn.compose": "ColumnTransformer",
    "sklearn.datasets": "fetch_20newsgroups fetch_california_housing fetch_openml load_digits load_iris "
    "make_blobs make_classification make_regression",
    "sklearn.decomposition": "PCA",
    "sklearn.ensemble": "GradientBoostingClassifier GradientBoostingRegressor RandomForestClassifier "
    "RandomForestRegressor",
    "sklearn.feature_extraction.text": "CountVectorizer TfidfVectorizer",
    "sklearn.impute": "SimpleImputer",
    "sklearn.linear_model": "LinearRegression LogisticRegression LogisticRegressionCV Ridge",
    "sklearn.metrics": "ConfusionMatrixDisplay RocCurveDisplay accuracy_score classification_report "
    "confusion_matrix f1_score mean_absolute_error mean_squared_error precision_score r2_score "
    "recall_score roc_auc_score roc_curve",
    "sklearn.model_selection": "GridSearchCV KFold ShuffleSplit StratifiedKFold cross_val_score "
    "train_test_split",
    "sklearn.neighbors": "KNeighborsClassifier KNeighborsRegressor",
    "sklearn.preprocessing": "LabelEncoder MinMaxScaler OneHotEncoder StandardScaler",
    "sklearn.svm": "LinearSVC SVC",
    "sklearn.tree": "DecisionTreeClassifier DecisionTreeRegressor",
    "tempfile": "NamedTemporaryFile TemporaryDirectory mkdtemp",
    "time": "perf_counter",
    "torch.utils.data": "TensorDataset",
    "transformers": "AutoModelForCausalLM AutoModelForSequenceClassification AutoTokenizer",
    "types": "SimpleNamespace",
    "typing": "Any ClassVar Dict List Literal NamedTuple Optional Tuple TypedDict Union",
    "uuid": "uuid4",
    "zipfile": "ZipFile",
    "zoneinfo": "ZoneInfo",
}

# Lines by the attribute or `(` that follows the name. A called name is not a module.
_BY_USE = {
    "copy": {"import copy": "copy deepcopy"},
    "datetime": {
        "from datetime import datetime": "( combine fromisoformat fromtimestamp now strptime today utcnow",
        "import datetime": "UTC date datetime time timedelta timezone",
    },
    "glob": {"import glob": "glob iglob escape", "from glob import glob": "("},
    "nn": {
        "import torch.nn as nn": "AvgPool2d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d Conv1d "
        "Conv2d CrossEntropyLoss Dropout2d Flatten Linear MSELoss MaxPool2d ModuleList NLLLoss "
        "Parameter ReLU Sigmoid Softmax Tanh functional init utils",
    },
    "pl": {
        "import polars as pl": "Categorical DataFrame Date Datetime Expr Float32 Float64 Int32 Int64 "
        "LazyFrame Series Utf8 coalesce col concat count date element exclude first from_arrow "
        "from_dict from_pandas lit len read_csv read_excel read_parquet scan_csv scan_parquet "
        "sum_horizontal when",
        "import pytorch_lightning as pl": "LightningDataModule LightningModule Trainer callbacks "
        "loggers seed_everything",
    },
    "pprint": {"import pprint": "PrettyPrinter pformat pprint", "from pprint import pprint": "("},
    "random": {
        "import random": "Random betavariate choice choices expovariate gauss getrandbits normalvariate "
        "randint random randrange sample seed shuffle uniform",
    },
    "stats": {
        "from scipy import stats": "beta binom chi2 chi2_contingency expon f_oneway gamma gaussian_kde "
        "kendalltau ks_2samp kstest kurtosis linregress lognorm mannwhitneyu norm pearsonr poisson "
        "probplot shapiro skew spearmanr t ttest_1samp ttest_ind ttest_rel uniform wilcoxon zscore",
    },
    "time": {
        "import time": "ctime gmtime localtime mktime monotonic monotonic_ns perf_counter "
        "perf_counter_ns process_time sleep strftime strptime time time_ns",
    },
    "tqdm": {"from tqdm import tqdm": "(", "import tqdm": "tqdm"},
    "urllib": {
        "import urllib.error": "error",
        "import urllib.parse": "parse",
        "import urllib.request": "request",
    },
}

MODULES = {name: f"import {name}" for name in _MODULES.split()} | {
    name: f"import {module} as {name}" for name, module in SHORT.items()
}
MEMBERS = {
    name: f"from {module} import {name}" for module, names in _MEMBERS.items() for name in names.split()
}
BY_USE = {
    name: {line: frozenset(uses.split()) for line, uses in lines.items()} for name, lines in _BY_USE.items()
}
