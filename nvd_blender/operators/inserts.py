"""Operators on the inserts of a layer: insert, blend, show, clip, order and remove them; agree with other programs."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

import bpy

from nvd_core.spec.edits import Blend, Stack
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import read_manifest

from ..jobs import insertion
from ..result import edit_record, inserts
from ..result.scenes import BUILT_KEY, atlas_nodes, folder_of
from ..source.footage import pattern_of
from .atlas import Found, OfLayer, find_layer
from .engine import TaskOperator

_FILES = "*.exr;*.png;*.tif;*.tiff;*.jpg;*.jpeg;*.dpx;*.mp4;*.mov;*.mkv;*.avi;*.webm"
_MODES = [(mode, mode.replace("_", " ").title(), "") for mode in get_args(Blend)]


class NVD_OT_insert_picture(OfLayer, TaskOperator, bpy.types.Operator):
    """Insert a picture or a movie."""

    bl_idname = "nvd.insert_picture"
    bl_label = "Insert Picture"
    bl_description = (
        "Pin a picture or a movie to the layer, over its paint: every frame of the shot follows. It is copied into the "
        "result, and lies in the middle of what is seen of the layer at first"
    )

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default=_FILES, options={"HIDDEN"})
    is_sequence: bpy.props.BoolProperty(
        name="Sequence", description="All pictures that are numbered like this one", options={"SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Let the user choose a file, unless one was dropped: on the layer whose atlas is shown or painted on."""
        if self.filepath:
            shown = getattr(context.space_data, "image", None), context.scene.tool_settings.image_paint.canvas
            atlases = atlas_nodes(context.scene)
            self.layer = self.layer or next((layer for layer in atlases if atlases[layer].image in shown), "")
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, _context: bpy.types.Context) -> None:
        """Beside the files."""
        self.layout.prop(self, "is_sequence")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begin; without a window, wait for the end."""
        return self.run(lambda: self._begin(context))

    def _begin(self, context: bpy.types.Context) -> insertion.Insertion:
        found = find_layer(context, self.result, self.layer)
        path = Path(bpy.path.abspath(self.filepath)).absolute()
        if not path.is_file():
            raise InputError("There is no such picture", where=path, hint="Choose a file.")
        return insertion.start(found.scene, found.layer, pattern_of(path) if self.is_sequence else path)


class NVD_FH_insert_picture(bpy.types.FileHandler):
    """Inserts what is dropped on the Image editor."""

    bl_idname = "NVD_FH_insert_picture"
    bl_label = "Insert Picture"
    bl_import_operator = "nvd.insert_picture"
    bl_file_extensions = _FILES.replace("*", "")

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        """Only on the Image editor of a result."""
        return context.area is not None and context.area.type == "IMAGE_EDITOR" and BUILT_KEY in context.scene


class _OfStack(OfLayer):
    """Operator on a layer's inserts, which agree with the record before and after."""

    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Change them."""
        if inserts.group_for_inserts(found.scene, found.layer) is None:
            raise InputError(f"The node of {found.layer} takes no inserts", hint="Load the result again.")
        edit_record.agree(found.scene)
        numbers = read_manifest(folder_of(found.scene)).source.numbers
        stack = inserts.read_stack(found.scene, found.layer, numbers)
        edit_record.set_stack(found.scene, found.layer, self.changed(stack))


class _OfInsert(_OfStack):
    insert: bpy.props.StringProperty(name="Insert", description="Its name", options={"SKIP_SAVE"})

    def name_in(self, stack: Stack) -> str:
        """Name of the insert, which is in its layer's stack.

        Raises:
            InputError: it is not there.
        """
        if self.insert not in [one.name for one in stack.inserts]:
            raise InputError(f"There is no insert {self.insert!r} on {self.layer}", hint="It was removed or renamed.")
        return self.insert


class NVD_OT_open_insert(OfLayer, bpy.types.Operator):
    """Show or hide the insert's corners and frames"""

    bl_idname = "nvd.open_insert"
    bl_label = "Open Insert"

    insert: bpy.props.StringProperty(name="Insert", description="Its name", options={"SKIP_SAVE"})

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Open or close it."""
        for node in inserts.insert_nodes(found.scene, found.layer):
            if inserts.name_of(node) == self.insert:
                inserts.open_or_close(node)


class NVD_OT_blend_insert(_OfInsert, bpy.types.Operator):
    """How the insert's colours meet those below"""

    bl_idname = "nvd.blend_insert"
    bl_label = "Blend Mode"

    blend: bpy.props.EnumProperty(name="Blend Mode", items=_MODES)

    def changed(self, stack: Stack) -> Stack:
        """Give it another mode."""
        return stack.having(replace(stack.named(self.name_in(stack)), blend=self.blend))


class _Flips(_OfInsert):
    flag: ClassVar[str]

    def changed(self, stack: Stack) -> Stack:
        """Turn it on or off."""
        one = stack.named(self.name_in(stack))
        return stack.having(replace(one, **{self.flag: not getattr(one, self.flag)}))


class NVD_OT_show_insert(_Flips, bpy.types.Operator):
    """Show or hide the insert"""

    bl_idname = "nvd.show_insert"
    bl_label = "Show Insert"
    flag = "is_visible"


class NVD_OT_clip_insert(_Flips, bpy.types.Operator):
    """End the insert at the layer's outline; else it goes beyond, behind the layers that are in front"""

    bl_idname = "nvd.clip_insert"
    bl_label = "Clip to Outline"
    flag = "is_clipped"


class NVD_OT_move_insert(_OfInsert, bpy.types.Operator):
    """Move the insert over the next one, or under the one below"""

    bl_idname = "nvd.move_insert"
    bl_label = "Move Insert"

    places: bpy.props.IntProperty(name="Places", description="Up; down if negative", default=1)

    def changed(self, stack: Stack) -> Stack:
        """Put it elsewhere in the stack."""
        return stack.moved(self.name_in(stack), self.places)


class NVD_OT_remove_insert(_OfInsert, bpy.types.Operator):
    """Take the insert off the layer. Its picture stays in the result's folder"""

    bl_idname = "nvd.remove_insert"
    bl_label = "Remove Insert"

    def changed(self, stack: Stack) -> Stack:
        """Take it out."""
        return stack.without(self.name_in(stack))


class NVD_OT_paint_beyond(_OfStack, bpy.types.Operator):
    """Show paint on transparent parts of the atlas, too, beyond the layer's outline"""

    bl_idname = "nvd.paint_beyond"
    bl_label = "Paint Beyond Outline"

    def changed(self, stack: Stack) -> Stack:
        """Turn it on or off."""
        return replace(stack, is_paint_clipped=not stack.is_paint_clipped)


class NVD_OT_settle_inserts(OfLayer, bpy.types.Operator):
    """Choose between inserts that were changed here and by another program."""

    bl_idname = "nvd.settle_inserts"
    bl_label = "Settle Inserts"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    keeps: bpy.props.EnumProperty(
        name="Keep",
        items=[
            ("FILE", "Take the File's", "Show the inserts as the other program has saved them"),
            ("NODES", "Keep These", "Write the inserts as they are here over what the other program has saved"),
        ],
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """Tooltip of the choice."""
        return cls.bl_rna.properties["keeps"].enum_items[properties.keeps].description

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Keep one of them."""
        edit_record.settle(found.scene, keeps_nodes=self.keeps == "NODES")


register, unregister = bpy.utils.register_classes_factory(
    (
        NVD_OT_insert_picture, NVD_FH_insert_picture, NVD_OT_open_insert, NVD_OT_blend_insert, NVD_OT_show_insert,
        NVD_OT_clip_insert, NVD_OT_move_insert, NVD_OT_remove_insert, NVD_OT_paint_beyond, NVD_OT_settle_inserts,
    )
)  # fmt: skip
