/** Answers another process's requests like a web page: lines of JSON, the first of which names the model. */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Composer, DEFAULTS, newProgress } from '../../labextension/src/local/answer';
import { Engine } from '../../labextension/src/local/engine/engine';
import { Layout } from '../../labextension/src/local/layout';
import { characterModel } from '../../labextension/src/local/models';
import type { IEngine, IToken } from '../../labextension/src/local/engineinterface';
import type { IRequest } from '../../labextension/src/wire';

interface IOpening {
  name: string;
  model: string;
  wasm: string;
}

/** Records the tokens that an engine generates. */
class Recorder implements IEngine {
  constructor(private readonly _engine: IEngine) {
    ({
      name: this.name,
      contextSize: this.contextSize,
      vocabulary: this.vocabulary
    } = _engine);
  }

  async *generate(...given: Parameters<IEngine['generate']>): AsyncGenerator<IToken, void> {
    this.tokens = [];
    this.ended = false;
    for await (const token of this._engine.generate(...given)) {
      this.tokens.push(token);
      yield token;
    }
    this.ended = this.tokens.length < given[0].sampling.maxTokens;
  }

  readonly name: string;
  readonly contextSize: number;
  readonly vocabulary: IEngine['vocabulary'];
  tokens: IToken[] = [];
  /** whether the model generated an end token */
  ended = false;
}

let engine: Recorder | undefined;
let layout: Layout;

async function answer(line: string): Promise<unknown> {
  if (!engine) {
    const { name, model, wasm } = JSON.parse(line) as IOpening;
    const loaded = Engine.load(readFileSync(model), new WebAssembly.Module(readFileSync(wasm)));
    engine = new Recorder(characterModel(name, loaded, () => Promise.resolve()));
    layout = new Layout(engine.vocabulary, engine.contextSize, DEFAULTS);
    return null;
  }
  const request = JSON.parse(line) as IRequest;
  const begun = performance.now();
  const progress = newProgress();
  const composer = new Composer(request, engine, layout, DEFAULTS, {});
  const writing = composer.write('', progress, new AbortController().signal);
  let step = await writing.next();
  while (!step.done) {
    step = await writing.next();
  }
  return {
    text: step.value[0]?.text ?? '',
    ended: engine.ended,
    ms: performance.now() - begun,
    tokens: engine.tokens.map(({ token, probability }) => [engine?.vocabulary.text(token), probability])
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
