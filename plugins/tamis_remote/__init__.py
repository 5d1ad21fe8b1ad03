"""Stages and models that run elsewhere: any service that speaks `tamis.v1.PluginService`."""

from tamis_remote.models import RemoteEmbedder, RemoteLlm
from tamis_remote.retriever import RemoteRetriever
from tamis_remote.stages import RemoteGenerator, RemoteReranker

__all__ = ["RemoteEmbedder", "RemoteGenerator", "RemoteLlm", "RemoteReranker", "RemoteRetriever"]
