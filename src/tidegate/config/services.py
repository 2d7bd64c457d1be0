"""Well-known services that speak a known dialect. A line here is all that another one needs.

`Provider.spec.service` names one in place of `dialect` and `baseUrl`; `serve` without a configuration finds those whose key
variable is set. Sources: each service's API reference (base URL, key variable of its SDK or quickstart, deviations).
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Service(Struct, frozen=True):
    """`key` is the environment variable that holds its key by custom; "" for servers that want none."""

    name: str
    base_url: str
    key: str = ""
    dialect: str = "openai"
    quirks: tuple[str, ...] = ()
    base_url_variable: str = ""
    chat: tuple[str, ...] = ()
    """Models offered when there is no configuration to name others."""
    embedding: tuple[str, ...] = ()
    moderation: tuple[str, ...] = ()


_OPENAI_CHAT: Final = (
    "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-5.4", "gpt-5.4-mini",
    "gpt-5.5", "o3", "o4-mini",
)  # fmt: skip
_TOP_K: Final = ("top-k",)
_SERVER: Final = ("top-k", "reasoning-effort")
"""vLLM and its kin take what OpenAI's reasoning models and most samplers take."""

_TABLE: Final = (
    # Services that made their own dialect, or serve more than one surface of OpenAI's.
    Service("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", base_url_variable="OPENAI_BASE_URL",
            chat=_OPENAI_CHAT, embedding=("text-embedding-3-small", "text-embedding-3-large"),
            moderation=("omni-moderation-latest",)),
    Service("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic",
            chat=("claude-sonnet-4-5", "claude-opus-4-1", "claude-haiku-4-5")),
    Service("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", "gemini",
            chat=("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite")),
    Service("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral",
            chat=("mistral-small-latest", "mistral-medium-latest", "mistral-large-latest", "ministral-8b-latest"),
            embedding=("mistral-embed",)),
    Service("cohere", "https://api.cohere.com", "CO_API_KEY", "cohere", chat=("command-a-03-2025", "command-r7b-12-2024")),
    # OpenAI-compatible model makers.
    Service("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", quirks=("max-tokens",),
            chat=("deepseek-chat", "deepseek-reasoner")),
    Service("x-ai", "https://api.x.ai/v1", "XAI_API_KEY", chat=("grok-4.3", "grok-4.5", "grok-code-fast-1")),
    Service("moonshotai", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", quirks=("max-tokens",)),
    Service("moonshot-cn", "https://api.moonshot.cn/v1", "MOONSHOT_API_KEY", quirks=("max-tokens",)),
    Service("zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", quirks=("max-tokens",)),
    Service("zhipuai", "https://open.bigmodel.cn/api/paas/v4", "ZHIPUAI_API_KEY", quirks=("max-tokens",)),
    Service("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY",
            quirks=("max-tokens", "top-k")),
    Service("dashscope-cn", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY",
            quirks=("max-tokens", "top-k")),
    Service("minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY"),
    Service("stepfun", "https://api.stepfun.com/v1", "STEPFUN_API_KEY", quirks=("max-tokens",)),
    Service("lingyiwanwu", "https://api.lingyiwanwu.com/v1", "YI_API_KEY", quirks=("max-tokens",)),
    Service("hunyuan", "https://api.hunyuan.cloud.tencent.com/v1", "HUNYUAN_API_KEY", quirks=("max-tokens",)),
    Service("ai21", "https://api.ai21.com/studio/v1", "AI21_API_KEY", quirks=("max-tokens",)),
    Service("upstage", "https://api.upstage.ai/v1", "UPSTAGE_API_KEY", quirks=("max-tokens",)),
    Service("inception", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY", quirks=("max-tokens",)),
    Service("meta", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    Service("perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", quirks=("max-tokens", "top-k")),
    # Hosts of open models.
    Service("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", quirks=("reasoning-effort",),
            chat=("llama-3.1-8b-instant", "llama-3.3-70b-versatile", "openai/gpt-oss-20b", "openai/gpt-oss-120b")),
    Service("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", quirks=("max-tokens", "top-k"),
            chat=("meta-llama/Llama-3.3-70B-Instruct-Turbo",)),
    Service("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", quirks=("max-tokens", *_SERVER)),
    Service("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", quirks=("reasoning-effort",),
            chat=("gpt-oss-120b",)),
    Service("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", quirks=("max-tokens", "top-k")),
    Service("nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", quirks=("max-tokens",)),
    Service("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", quirks=("max-tokens",)),
    Service("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", quirks=("max-tokens", *_SERVER)),
    Service("nebius", "https://api.studio.nebius.com/v1", "NEBIUS_API_KEY", quirks=("max-tokens", "top-k")),
    Service("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY", quirks=("max-tokens", "top-k")),
    Service("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", quirks=("max-tokens", "top-k")),
    Service("siliconflow", "https://api.siliconflow.com/v1", "SILICONFLOW_API_KEY", quirks=("max-tokens", "top-k")),
    Service("volcengine", "https://ark.cn-beijing.volces.com/api/v3", "ARK_API_KEY", quirks=("max-tokens",)),
    Service("qianfan", "https://qianfan.baidubce.com/v2", "QIANFAN_API_KEY", quirks=("max-tokens",)),
    Service("baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY", quirks=("max-tokens", *_SERVER)),
    Service("friendli", "https://api.friendli.ai/serverless/v1", "FRIENDLI_TOKEN", quirks=("max-tokens", "top-k")),
    Service("featherless", "https://api.featherless.ai/v1", "FEATHERLESS_API_KEY", quirks=("max-tokens", "top-k")),
    Service("parasail", "https://api.parasail.io/v1", "PARASAIL_API_KEY", quirks=("max-tokens", "top-k")),
    Service("chutes", "https://llm.chutes.ai/v1", "CHUTES_API_KEY", quirks=("max-tokens", "top-k")),
    Service("nscale", "https://inference.api.nscale.com/v1", "NSCALE_SERVICE_TOKEN", quirks=("max-tokens",)),
    Service("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "OVH_AI_ENDPOINTS_ACCESS_TOKEN",
            quirks=("max-tokens",)),
    Service("scaleway", "https://api.scaleway.ai/v1", "SCW_SECRET_KEY", quirks=("max-tokens",)),
    Service("ionos", "https://openai.inference.de-txl.ionos.com/v1", "IONOS_API_TOKEN", quirks=("max-tokens",)),
    # Other gateways.
    Service("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", quirks=("max-tokens", *_SERVER),
            chat=("openrouter/auto",)),
    Service("github-models", "https://models.github.ai/inference", "GITHUB_TOKEN"),
    Service("vercel", "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY"),
    # Embeddings and rerankers.
    Service("voyageai", "https://api.voyageai.com/v1", "VOYAGE_API_KEY", quirks=("rerank-top-k",)),
    Service("jina", "https://api.jina.ai/v1", "JINA_API_KEY"),
    # Servers of one's own, where they listen by default.
    Service("vllm", "http://127.0.0.1:8000/v1", quirks=_SERVER),
    Service("sglang", "http://127.0.0.1:30000/v1", quirks=_SERVER),
    Service("llama-cpp", "http://127.0.0.1:8080/v1", quirks=_TOP_K),
    Service("lm-studio", "http://127.0.0.1:1234/v1", quirks=_TOP_K),
    Service("text-generation-inference", "http://127.0.0.1:3000/v1", quirks=("max-tokens",)),
    Service("ollama", "http://127.0.0.1:11434", dialect="ollama"),
)  # fmt: skip

SERVICES: Final[Mapping[str, Service]] = {one.name: one for one in _TABLE}
