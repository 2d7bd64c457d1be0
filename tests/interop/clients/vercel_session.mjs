// The Vercel AI SDK with each of its providers that the gateway has a dialect for: text, streams as user interfaces consume
// them, tools in several steps, objects, reasoning, embeddings, errors.
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createCohere } from "@ai-sdk/cohere";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createMistral } from "@ai-sdk/mistral";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import * as ai from "ai";
import { z } from "zod";
import { GATEWAY, KEY, QUESTION, TOOL_QUESTION, WEATHER, assert, raised, run } from "./checks.mjs";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const TIDE = z.object({ port: z.string(), heightCm: z.number().int(), falling: z.boolean() });

// By provider: how it is made with a key, its usual model, its embedding model, and what makes it think.
const PROVIDERS = {
  responses: {
    make: (apiKey) => createOpenAI({ baseURL: `${GATEWAY}/v1`, apiKey }).responses,
    model: "gpt-4.1",
    embedding: () => createOpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY }).embedding("text-embedding-3-small"),
    thinking: { model: "gpt-5-mini", openai: { reasoningEffort: "low", reasoningSummary: "auto" } },
  },
  chat: {
    make: (apiKey) => createOpenAI({ baseURL: `${GATEWAY}/v1`, apiKey }).chat,
    model: "gpt-4.1",
  },
  compatible: {
    make: (apiKey) =>
      createOpenAICompatible({
        name: "tidegate", baseURL: `${GATEWAY}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true,
      }),
    model: "llama-3.3-70b-versatile",
    embedding: () =>
      createOpenAICompatible({ name: "tidegate", baseURL: `${GATEWAY}/v1`, apiKey: KEY })
        .textEmbeddingModel("text-embedding-3-small"),
    thinking: { tidegate: { reasoningEffort: "low" } },
  },
  anthropic: {
    make: (apiKey) => createAnthropic({ baseURL: `${GATEWAY}/v1`, apiKey }),
    model: "claude-sonnet-4-5",
    thinking: { anthropic: { thinking: { type: "enabled", budgetTokens: 2000 } } },
  },
  google: {
    make: (apiKey) => createGoogleGenerativeAI({ baseURL: `${GATEWAY}/v1beta`, apiKey }),
    model: "gemini-2.5-flash",
    embedding: () =>
      createGoogleGenerativeAI({ baseURL: `${GATEWAY}/v1beta`, apiKey: KEY }).embedding("gemini-embedding-001"),
    thinking: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2000 } } },
  },
  mistral: {
    make: (apiKey) => createMistral({ baseURL: `${GATEWAY}/mistral/v1`, apiKey }),
    model: "mistral-large-latest",
    embedding: () => createMistral({ baseURL: `${GATEWAY}/mistral/v1`, apiKey: KEY }).embedding("mistral-embed"),
  },
  cohere: {
    make: (apiKey) => createCohere({ baseURL: `${GATEWAY}/v2`, apiKey }),
    model: "command-a-03-2025",
    embedding: () => createCohere({ baseURL: `${GATEWAY}/v2`, apiKey: KEY }).embedding("embed-v4.0"),
  },
  bedrock: {
    make: (apiKey) => createAmazonBedrock({ baseURL: GATEWAY, apiKey, region: "eu-west-1" }),
    model: "claude-sonnet-4-5",
  },
};

function weather() {
  const place = { asked: 0 };
  place.tools = {
    get_weather: ai.tool({
      description: "The weather in a city, now.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        place.asked += 1;
        assert(typeof city === "string", city);
        return { said: WEATHER };
      },
    }),
  };
  return place;
}

function checksOf({ make, model: name, embedding, thinking }) {
  const model = make(KEY)(name);
  const retries = { maxRetries: 0 };
  const checks = {
    async answer() {
      const done = await ai.generateText({ model, prompt: QUESTION, system: "Be brief.", maxOutputTokens: 200, ...retries });
      assert(done.text && done.usage.outputTokens > 0 && done.finishReason === "stop", [done.text, done.usage, done.finishReason]);
      return done.text;
    },
    async length() {
      const done = await ai.generateText({ model, prompt: QUESTION, maxOutputTokens: 16, temperature: 0, ...retries });
      assert(done.text && done.finishReason === "length", [done.text, done.finishReason]);
      return done.text;
    },
    async stream() {
      const stream = ai.streamText({ model, prompt: QUESTION, ...retries });
      const kinds = [];
      let text = "";
      for await (const part of stream.fullStream) {
        if (part.type === "error") throw part.error;
        if (part.type === "text-delta") text += part.text;
        if (kinds.at(-1) !== part.type) kinds.push(part.type);
      }
      const usage = await stream.usage;
      const wanted = ["start", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"];
      assert(text && text === (await stream.text), kinds);
      assert(kinds.join() === wanted.join(), kinds);
      assert(usage.inputTokens > 0 && usage.outputTokens > 0 && (await stream.finishReason) === "stop", usage);
      return `${usage.totalTokens} tokens`;
    },
    async tool() {
      const place = weather();
      const done = await ai.generateText({
        model, prompt: TOOL_QUESTION, tools: place.tools, stopWhen: ai.stepCountIs(4), ...retries,
      });
      assert(place.asked === 1 && done.text && done.steps.length === 2, [place.asked, done.steps.length, done.text]);
      assert(done.steps[0].finishReason === "tool-calls", done.steps[0].finishReason);
      return done.text;
    },
    async "tool in a stream"() {
      const place = weather();
      const stream = ai.streamText({
        model, prompt: TOOL_QUESTION, tools: place.tools, stopWhen: ai.stepCountIs(4), ...retries,
      });
      const open = new Map();
      const kinds = [];
      for await (const part of stream.fullStream) {
        if (part.type === "error") throw part.error;
        if (part.type === "tool-input-start") open.set(part.id, "");
        if (part.type === "tool-input-delta") open.set(part.id, open.get(part.id) + part.delta);
        if (part.type === "tool-call") assert(JSON.stringify(JSON.parse(open.get(part.toolCallId))) === JSON.stringify(part.input), part);
        if (kinds.at(-1) !== part.type) kinds.push(part.type);
      }
      assert(place.asked === 1 && (await stream.text) && (await stream.steps).length === 2, kinds);
      return kinds.filter((kind) => kind.startsWith("tool")).join(" ");
    },
    async "tool required"() {
      const place = weather();
      const done = await ai.generateText({ model, prompt: QUESTION, tools: place.tools, toolChoice: "required", ...retries });
      assert(place.asked === 1, done.content);
    },
    async "chat of a user interface"() {
      const place = weather();
      const messages = [{ id: "1", role: "user", parts: [{ type: "text", text: TOOL_QUESTION }] }];
      for (const next of ["Thanks. And in Oslo, the weather?", "And the tides?", undefined]) {
        const stream = ai.streamText({
          model, messages: await ai.convertToModelMessages(messages), tools: place.tools, stopWhen: ai.stepCountIs(4),
          ...retries,
        });
        let last;
        const read = ai.readUIMessageStream({
          stream: stream.toUIMessageStream({ sendReasoning: true, onError: (error) => String(error?.message) }),
          terminateOnError: true,
        });
        for await (const message of read) last = message;
        assert(last?.parts.some((part) => part.type === "text" && part.state === "done"), last);
        messages.push(last);
        if (next) messages.push({ id: `${messages.length}`, role: "user", parts: [{ type: "text", text: next }] });
      }
      assert(place.asked === 2, place.asked);
      return messages.map((message) => message.parts.length).join("+") + " parts";
    },
    async object() {
      const done = await ai.generateText({
        model, prompt: QUESTION, output: ai.Output.object({ schema: TIDE }), ...retries,
      });
      return JSON.stringify(TIDE.parse(done.output));
    },
    async "object in a stream"() {
      let partial, failure;
      const onError = ({ error }) => (failure = error);
      const stream = ai.streamObject({ model, prompt: QUESTION, schema: TIDE, onError, ...retries });
      for await (const object of stream.partialObjectStream) partial = object;
      if (failure) throw failure;
      return JSON.stringify(TIDE.parse(partial)) && JSON.stringify(await stream.object);
    },
    async image() {
      const content = [{ type: "text", text: "What is this?" }, { type: "image", image: PIXEL, mediaType: "image/png" }];
      const done = await ai.generateText({ model, messages: [{ role: "user", content }], ...retries });
      assert(done.text, done);
    },
    async errors() {
      const unknown = await raised(
        (error) => ai.APICallError.isInstance(error) && error.statusCode === 404 && error.message.includes("no-such-model"),
        () => ai.generateText({ model: make(KEY)("no-such-model"), prompt: QUESTION, ...retries }),
      );
      await raised(
        (error) => ai.APICallError.isInstance(error) && [401, 403].includes(error.statusCode) && !error.isRetryable,
        () => ai.generateText({ model: make("wrong")(name), prompt: QUESTION, ...retries }),
      );
      return unknown;
    },
    async "error in a stream"() {
      const stream = ai.streamText({ model: make(KEY)("no-such-model"), prompt: QUESTION, onError() {}, ...retries });
      const parts = [];
      for await (const part of stream.toUIMessageStream({ onError: (error) => error.message })) parts.push(part);
      const told = parts.find((part) => part.type === "error");
      assert(told?.errorText.includes("no-such-model"), parts);
      return told.errorText;
    },
  };
  if (embedding) {
    checks.embeddings = async () => {
      const done = await ai.embedMany({ model: embedding(), values: ["spring tide", "neap tide"], ...retries });
      assert(done.embeddings.length === 2 && done.embeddings[0].length > 100, done.embeddings.length);
      return `${done.embeddings[0].length} dimensions, ${done.usage.tokens} tokens`;
    };
  }
  if (thinking) {
    const { model: other, ...providerOptions } = thinking;
    checks.reasoning = async () => {
      const place = weather();
      const stream = ai.streamText({
        model: make(KEY)(other ?? name), prompt: TOOL_QUESTION, tools: place.tools, providerOptions,
        stopWhen: ai.stepCountIs(4), ...retries,
      });
      let thought = 0;
      const kinds = [];
      for await (const part of stream.fullStream) {
        if (part.type === "error") throw part.error;
        if (part.type === "reasoning-delta") thought += part.text.length;
        if (kinds.at(-1) !== part.type) kinds.push(part.type);
      }
      assert(place.asked === 1 && (await stream.text), kinds);
      return `${thought} characters of thoughts`;
    };
  }
  return checks;
}

const all = {};
for (const [name, provider] of Object.entries(PROVIDERS)) {
  for (const [check, act] of Object.entries(checksOf(provider))) all[`${name}: ${check}`] = act;
}
await run(all);
