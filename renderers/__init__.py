"""Scenes, and the renderers that draw, differentiate and fit them. Frameworks are imported only when used."""

from .base import DEVICES as DEVICES
from .base import Fit as Fit
from .base import FitSettings as FitSettings
from .base import FitState as FitState
from .base import FittingRenderer as FittingRenderer
from .base import Rates as Rates
from .base import Renderer as Renderer
from .base import RendererOptions as RendererOptions
from .canvas import Canvas as Canvas
from .errors import ArtpipeError as ArtpipeError
from .errors import BackendUnavailable as BackendUnavailable
from .errors import Diverged as Diverged
from .errors import InputError as InputError
from .errors import Interrupted as Interrupted
from .errors import OutOfMemory as OutOfMemory
from .errors import PictureWarning as PictureWarning
from .losses.metrics import mean_squared_error as mean_squared_error
from .losses.metrics import psnr as psnr
from .losses.metrics import seed_loss as seed_loss
from .registry import FITTING_RENDERERS as FITTING_RENDERERS
from .registry import RENDERERS as RENDERERS
from .registry import load_fitting_renderer as load_fitting_renderer
from .registry import load_renderer as load_renderer
from .scene import Scene as Scene
