// Every call of the npm client `openai` for the routes of the proxy: node openai_calls.mjs URL TOKEN,
// and with the token - those that an Ollama server itself answers.
import OpenAI from "openai";

import { collected, tell } from "./outcomes.mjs";

const [url, token] = process.argv.slice(2);
const client = (apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const api = client(token);
const chats = api.chat.completions;

const model = "demo";
const endless = "hang-decode-after-20";
const ask = (content) => [{ role: "user", content }];
const messages = ask("Why is the sky blue?");
const banned = ask("Where is the violet submarine?");
const city = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather = { name: "get_weather", description: "Weather", parameters: city };
const tools = [{ type: "function", function: weather }];
const toolRequest = () => ({ model, messages: ask("Use the tool for Paris"), tools });
const responseFormat = {
  type: "json_schema",
  json_schema: { name: "place", schema: city, strict: true },
};
const pixel = "data:image/png;base64,iVBORw0KGgo=";

const chatting = {
  chat: () => chats.create({ model, messages }),
  "chat, streamed": () => collected(chats.create({ model, messages, stream: true })),
  "chat, streamed with usage": () =>
    collected(chats.create({ model, messages, stream: true, stream_options: { include_usage: true } })),
  "chat, by the stream helper": () => chats.stream({ model, messages }).finalChatCompletion(),
  "chat with tools": () => chats.create(toolRequest()),
  "chat with tools, streamed": () => collected(chats.create({ ...toolRequest(), stream: true })),
  "tools, by the runner": async () => {
    const called = [];
    const run = (given) => called.push(given) && "22 degrees";
    const runner = chats.runTools({
      ...toolRequest(),
      tools: [{ type: "function", function: { ...weather, function: run, parse: JSON.parse } }],
    });
    return { answer: await runner.finalContent(), called };
  },
  "chat as JSON of a schema": () =>
    chats.parse({ model, messages, response_format: responseFormat }),
  "chat with parts and an image": () =>
    chats.create({
      model,
      messages: ask([
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: pixel } },
      ]),
    }),
  "chat with options": () =>
    chats.create({ model, messages, max_tokens: 3, temperature: 0, seed: 1, stop: ["\n"] }),
  "chat with reasoning": () => chats.create({ model, messages, reasoning_effort: "low" }),
  "chat with logprobs": () => chats.create({ model, messages, logprobs: true, top_logprobs: 2 }),
};

const others = {
  completion: () => api.completions.create({ model, prompt: "Why?", suffix: "!" }),
  "completion, streamed": () =>
    collected(api.completions.create({ model, prompt: "Why?", stream: true })),
  embeddings: () => api.embeddings.create({ model, input: "hello" }),
  "embeddings of several": () => api.embeddings.create({ model, input: ["hello", "world"] }),
  "embeddings as floats": () =>
    api.embeddings.create({ model, input: "hello", encoding_format: "float", dimensions: 8 }),
  "list of models": () => collected(api.models.list()),
  "one model": () => api.models.retrieve(model),
  response: () => api.responses.create({ model, input: "Why?", instructions: "be brief" }),
  "response to items": () => api.responses.create({ model, input: messages }),
  "response, streamed": () =>
    collected(api.responses.create({ model, input: "Why?", stream: true })),
  "response, by the stream helper": () =>
    api.responses.stream({ model, input: "Why?" }).finalResponse(),
  "response with tools": () =>
    api.responses.create({
      model,
      input: "Use the tool for Paris",
      tools: [{ type: "function", ...weather, strict: true }],
    }),
  "response as JSON of a schema": () =>
    api.responses.parse({
      model,
      input: "Where?",
      text: { format: { type: "json_schema", name: "place", schema: city, strict: true } },
    }),
};

const failing = {
  "a model that is not there": () => chats.create({ model: "nobody", messages }),
  "a model that is not there, streamed": () =>
    collected(chats.create({ model: "nobody", messages, stream: true })),
  "a model that is not there, looked up": () => api.models.retrieve("nobody"),
  "a model with a slash, looked up": () => api.models.retrieve("team/llama3:8b"),
  "a request without messages": () => chats.create({ model, messages: [] }),
  "a server's error": () => chats.create({ model: "error-500", messages }),
  "abort of a stream": async () => {
    const stream = await chats.create({ model: endless, messages, stream: true });
    for await (const _part of stream) stream.controller.abort();
  },
};

// What the proxy answers by itself.
const own = {
  "a wrong token": () => client("nobody's").models.list(),
  "a field of the wrong kind": () => chats.create({ model, messages, stop: 7 }),
  "sound, which nobody can scan": () =>
    api.audio.transcriptions.create({ model, file: new File(["RIFF"], "a.wav") }),
  "a banned prompt": () => chats.create({ model, messages: banned }),
  "a banned prompt, streamed": () => collected(chats.create({ model, messages: banned, stream: true })),
  "a banned prompt, completion": () => api.completions.create({ model, prompt: banned[0].content }),
  "a banned text to embed": () => api.embeddings.create({ model, input: banned[0].content }),
  "a banned prompt, response": () => api.responses.create({ model, input: banned[0].content }),
  "a banned answer, streamed": () =>
    collected(chats.create({ model: "leaky-chat", messages, stream: true })),
  "a banned answer, by the parser": () =>
    chats
      .stream({
        model: "leaky-chat",
        messages,
        tools: [{ type: "function", function: { ...weather, strict: true } }],
      })
      .finalChatCompletion(),
  "a banned answer, whole": () => chats.create({ model: "leaky-whole", messages }),
  "a banned completion, streamed": () =>
    collected(api.completions.create({ model: "leaky-completion", prompt: "x", stream: true })),
  "a banned response, streamed": () =>
    collected(api.responses.create({ model: "leaky-response", input: "x", stream: true })),
};

await tell({ ...chatting, ...others, ...failing, ...(token === "-" ? {} : own) });
