"""Learned models of a few channels and random weights, as files: they say nothing, but all runs through them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from transformers import (
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    PreTrainedConfig,
    PreTrainedModel,
    Sam2VideoConfig,
    Sam2VideoModel,
    SwinConfig,
)
from transformers.utils import logging

Model = TypeVar("Model", bound=PreTrainedModel)


def write_sam2(folder: Path) -> Path:
    """SAM 2 for frames of 128 x 128."""
    wide = 128
    config = Sam2VideoConfig(
        image_size=128,
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "image_size": [128, 128],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": wide,
        },
        prompt_encoder_config={"hidden_size": wide, "image_size": 128, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": wide,
            "mlp_dim": wide,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": wide,
        },
        memory_attention_hidden_size=wide,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=wide,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=wide,
        memory_encoder_output_channels=wide // 2,
        mask_downsampler_embed_dim=wide,
        memory_fuser_embed_dim=wide,
        memory_fuser_intermediate_dim=wide,
    )
    _made(Sam2VideoModel, config).save_pretrained(folder)
    return folder


def write_mask2former(folder: Path) -> Path:
    """Mask2Former with 6 queries and 3 classes, sure of every one of its masks."""
    config = Mask2FormerConfig(
        backbone_config=SwinConfig(
            embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32, dim_feedforward=32,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=6, num_labels=3,
    )  # fmt: skip
    model = _made(Mask2FormerForUniversalSegmentation, config)
    with torch.no_grad():
        model.class_predictor.bias[0] = 10
        for name, parameter in model.named_parameters():
            if "mask_embedder" in name:
                parameter.mul_(20)
    model.save_pretrained(folder)
    return folder


def _made(kind: type[Model], config: PreTrainedConfig) -> Model:
    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(config)
