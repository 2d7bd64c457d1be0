// The official JavaScript SDKs: openai (chat, Responses, embeddings), @anthropic-ai/sdk, @google/genai.
import Anthropic from "@anthropic-ai/sdk";
import * as genai from "@google/genai";
import OpenAI from "openai";
import { GATEWAY, KEY, QUESTION, TOOL_QUESTION, WEATHER, assert, raised, run } from "./checks.mjs";

const openai = (apiKey = KEY) => new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey, maxRetries: 0 });
const anthropic = (apiKey = KEY) => new Anthropic({ baseURL: GATEWAY, apiKey, maxRetries: 0 });
const google = (apiKey = KEY) => new genai.GoogleGenAI({ apiKey, httpOptions: { baseUrl: GATEWAY } });
const SCHEMA = {
  type: "object",
  properties: { port: { type: "string" }, height: { type: "integer" } },
  required: ["port", "height"],
  additionalProperties: false,
};
const WHERE = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const user = (content) => [{ role: "user", content }];

function isTide(text) {
  const tide = JSON.parse(text);
  assert(typeof tide.port === "string" && Number.isInteger(tide.height), tide);
  return text;
}

async function all(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}

const chat = { model: "gpt-4.1" };
const chatTools = [{ type: "function", function: { name: "get_weather", parameters: WHERE, strict: true } }];
const responseTools = [{ type: "function", name: "get_weather", parameters: WHERE, strict: true }];
const claude = { model: "claude-sonnet-4-5", max_tokens: 1000 };
const claudeTools = [{ name: "get_weather", input_schema: WHERE }];
const gemini = { model: "gemini-2.5-flash" };
const geminiTools = [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: WHERE }] }];

await run({
  async "openai chat: answer"() {
    const done = await openai().chat.completions.create({ ...chat, messages: user(QUESTION) });
    assert(done.choices[0].message.content && done.usage.completion_tokens > 0, done);
    return done.choices[0].message.content;
  },
  async "openai chat: stream"() {
    const stream = openai().chat.completions.stream({
      ...chat, messages: user(QUESTION), stream_options: { include_usage: true },
    });
    const done = await stream.finalChatCompletion();
    assert(done.choices[0].message.content && done.usage.completion_tokens > 0, done);
  },
  async "openai chat: tool"() {
    let asked = 0;
    const tool = {
      type: "function",
      function: { name: "get_weather", parameters: WHERE, parse: JSON.parse, function: () => (asked++, WEATHER) },
    };
    const runner = openai().chat.completions.runTools({ ...chat, messages: user(TOOL_QUESTION), tools: [tool] });
    const text = await runner.finalContent();
    assert(text && asked === 1, asked);
    return text;
  },
  async "openai chat: tool in a stream"() {
    let asked = 0;
    const tool = {
      type: "function",
      function: { name: "get_weather", parameters: WHERE, parse: JSON.parse, function: () => (asked++, WEATHER) },
    };
    const runner = openai().chat.completions.runTools({
      ...chat, messages: user(TOOL_QUESTION), tools: [tool], stream: true,
    });
    const text = await runner.finalContent();
    assert(text && asked === 1, asked);
  },
  async "openai chat: typed output"() {
    const format = { type: "json_schema", json_schema: { name: "tide", schema: SCHEMA, strict: true } };
    const done = await openai().chat.completions.create({ ...chat, messages: user(QUESTION), response_format: format });
    return isTide(done.choices[0].message.content);
  },
  async "openai chat: errors"() {
    const unknown = await raised(
      (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
      () => openai().chat.completions.create({ model: "no-such-model", messages: user(QUESTION) }),
    );
    await raised(
      (error) => error instanceof OpenAI.AuthenticationError,
      () => openai("wrong").chat.completions.create({ ...chat, messages: user(QUESTION) }),
    );
    return unknown;
  },
  async "openai responses: answer"() {
    const done = await openai().responses.create({ ...chat, input: QUESTION });
    assert(done.output_text && done.usage.output_tokens > 0, done);
    return done.output_text;
  },
  async "openai responses: stream"() {
    const stream = openai().responses.stream({ ...chat, input: QUESTION });
    const done = await stream.finalResponse();
    assert(done.output_text && done.usage.output_tokens > 0, done);
  },
  async "openai responses: tool"() {
    const first = await openai().responses.stream({ ...chat, input: TOOL_QUESTION, tools: responseTools }).finalResponse();
    const call = first.output.find((item) => item.type === "function_call");
    assert(call && typeof JSON.parse(call.arguments).city === "string", first.output);
    const result = { type: "function_call_output", call_id: call.call_id, output: WEATHER };
    const done = await openai().responses.create({
      ...chat, previous_response_id: first.id, input: [result], tools: responseTools,
    });
    assert(done.output_text, done);
    return done.output_text;
  },
  async "openai responses: kept"() {
    const first = await openai().responses.create({ ...chat, input: QUESTION });
    const again = await openai().responses.retrieve(first.id);
    assert(again.output_text === first.output_text, again);
    const items = await all(await openai().responses.inputItems.list(first.id));
    assert(items.length === 1 && items[0].content[0].text === QUESTION, items);
    await openai().responses.delete(first.id);
    return await raised((error) => error instanceof OpenAI.NotFoundError, () => openai().responses.retrieve(first.id));
  },
  async "openai responses: typed output"() {
    const format = { type: "json_schema", name: "tide", schema: SCHEMA, strict: true };
    const done = await openai().responses.parse({ ...chat, input: QUESTION, text: { format } });
    return isTide(done.output_text);
  },
  async "openai: embeddings"() {
    const done = await openai().embeddings.create({ model: "text-embedding-3-small", input: ["spring tide", "neap tide"] });
    assert(done.data.length === 2 && done.data[0].embedding.length > 100, done.data.length);
    return `${done.data[0].embedding.length} dimensions`;
  },
  async "openai: models"() {
    const names = (await all(await openai().models.list())).map((model) => model.id);
    assert(names.includes("gpt-4.1"), names);
    return names.length;
  },
  async "anthropic: answer"() {
    const done = await anthropic().messages.create({ ...claude, messages: user(QUESTION) });
    assert(done.content[0].text && done.usage.output_tokens > 0, done);
    return done.content[0].text;
  },
  async "anthropic: stream"() {
    const stream = anthropic().messages.stream({ ...claude, messages: user(QUESTION) });
    const done = await stream.finalMessage();
    assert(done.content[0].text && done.stop_reason === "end_turn", done);
  },
  async "anthropic: tool"() {
    const first = await anthropic()
      .messages.stream({ ...claude, messages: user(TOOL_QUESTION), tools: claudeTools }).finalMessage();
    const call = first.content.find((block) => block.type === "tool_use");
    assert(call && typeof call.input.city === "string" && first.stop_reason === "tool_use", first);
    const result = { type: "tool_result", tool_use_id: call.id, content: WEATHER };
    const messages = [...user(TOOL_QUESTION), { role: "assistant", content: first.content }, ...user([result])];
    const done = await anthropic().messages.create({ ...claude, messages, tools: claudeTools });
    assert(done.content.at(-1).text, done);
    return done.content.at(-1).text;
  },
  async "anthropic: thinking"() {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const done = await anthropic()
      .messages.stream({ ...claude, max_tokens: 3000, thinking, messages: user(QUESTION) }).finalMessage();
    assert(done.content.at(-1).text, done);
    return done.content.map((block) => block.type);
  },
  async "anthropic: typed output"() {
    const format = { type: "json_schema", schema: SCHEMA };
    const done = await anthropic().messages.create({ ...claude, messages: user(QUESTION), output_config: { format } });
    return isTide(done.content.at(-1).text);
  },
  async "anthropic: tokens and models"() {
    const { input_tokens: count } = await anthropic().messages.countTokens({ model: claude.model, messages: user(QUESTION) });
    const names = (await all(await anthropic().models.list())).map((model) => model.id);
    assert(count > 0 && names.includes(claude.model), names);
    return `${count} tokens, ${names.length} models`;
  },
  async "anthropic: errors"() {
    const unknown = await raised(
      (error) => error instanceof Anthropic.NotFoundError && error.error.error.type === "not_found_error",
      () => anthropic().messages.create({ ...claude, model: "no-such-model", messages: user(QUESTION) }),
    );
    await raised(
      (error) => error instanceof Anthropic.AuthenticationError,
      () => anthropic("wrong").messages.create({ ...claude, messages: user(QUESTION) }),
    );
    return unknown;
  },
  async "google: answer"() {
    const done = await google().models.generateContent({ ...gemini, contents: QUESTION });
    assert(done.text && done.usageMetadata.candidatesTokenCount > 0, done);
    return done.text;
  },
  async "google: stream"() {
    const chunks = await all(await google().models.generateContentStream({ ...gemini, contents: QUESTION }));
    assert(chunks.some((chunk) => chunk.text) && chunks.at(-1).candidates[0].finishReason === "STOP", chunks.at(-1));
  },
  async "google: tool"() {
    const config = { tools: geminiTools };
    const talk = google().chats.create({ ...gemini, config });
    const first = await talk.sendMessage({ message: TOOL_QUESTION });
    const call = first.functionCalls?.[0];
    assert(typeof call?.args.city === "string", first);
    const response = { id: call.id, name: call.name, response: { output: WEATHER } };
    const chunks = await all(await talk.sendMessageStream({ message: [{ functionResponse: response }] }));
    const text = chunks.map((chunk) => chunk.text ?? "").join("");
    assert(text, chunks);
    return text;
  },
  async "google: typed output"() {
    const config = { responseMimeType: "application/json", responseJsonSchema: SCHEMA };
    const done = await google().models.generateContent({ ...gemini, contents: QUESTION, config });
    return isTide(done.text);
  },
  async "google: embeddings"() {
    const done = await google().models.embedContent({ model: "gemini-embedding-001", contents: ["spring", "neap"] });
    assert(done.embeddings.length === 2 && done.embeddings[0].values.length > 100, done);
    return `${done.embeddings[0].values.length} dimensions`;
  },
  async "google: tokens and models"() {
    const names = (await all(await google().models.list())).map((model) => model.name);
    assert(names.includes("models/gemini-2.5-flash"), names);
    return names.length;
  },
  async "google: errors"() {
    const unknown = await raised(
      (error) => error instanceof genai.ApiError && error.status === 404,
      () => google().models.generateContent({ model: "no-such-model", contents: QUESTION }),
    );
    await raised(
      (error) => error instanceof genai.ApiError && [400, 401].includes(error.status),
      () => google("wrong").models.generateContent({ ...gemini, contents: QUESTION }),
    );
    return unknown;
  },
});
