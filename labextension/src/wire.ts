/* What the server is sent and what it answers. Generated from the server's schemas; `make docs` writes it anew.
[[[cog
import contract
print(contract.typescript())
]]] */
export type Phase = 'empty' | 'loading' | 'ready' | 'thinking' | 'asleep' | 'waking' | 'failed' | 'stopped';

/** One cell of the notebook, or the whole of a file. */
export interface ICell {
  id: string;
  type: 'code' | 'markdown' | 'raw';
  source: string;
  /** whether it has run; null: unknown */
  executed?: boolean | null;
  /** the last line of its traceback; of the active cell alone */
  error?: string | null;
}

/** Another open document, or a terminal's history. */
export interface IOtherDocument {
  path: string;
  language: string;
  source: string;
}

/** What a client asks: complete at `offset` code points into cell `active`. */
export interface IRequest {
  /** of the notebook or the file, as the server knows it */
  path: string;
  language: string;
  /** the notebook's kernel, whose names are used if the caller may run code in it */
  kernel_id?: string | null;
  cells: ICell[];
  /** the cell that the cursor is in */
  active: number;
  /** the cursor, in code points of the active cell */
  offset: number;
  /** other open documents, or a terminal's history */
  extra: IOtherDocument[];
  /** typing, an explicit request, only reading, or writing what follows a suggestion */
  trigger: 'ahead' | 'automatic' | 'invoke' | 'warm';
  /** how many lines a suggestion may have */
  lines: 'auto' | 'multi' | 'single';
  /** how sure an automatic suggestion has to be; null: server default */
  eagerness?: 'always' | 'balanced' | 'eager' | 'quiet' | null;
  stream: boolean;
  /** names the editor, whose newer request replaces the older */
  client: string;
  /** how many suggestions */
  n: number;
  /** null: server default */
  max_tokens?: number | null;
  temperature: number;
}

/** One suggestion. */
export interface ISuggestion {
  text: string;
  /** how likely the model takes it to be right, 0 to 1 */
  confidence: number;
  finish_reason: string;
}

/** Where the time went. */
export interface ITimings {
  queue_ms: number;
  context_ms: number;
  prompt_tokens: number;
  cached_tokens: number;
  prompt_ms: number;
  predicted_tokens: number;
  predicted_ms: number;
  drafted_tokens: number;
  accepted_tokens: number;
  total_ms: number;
}

/** A whole answer; nothing to show is a list without items. */
export interface IAnswer {
  /** names the answer in `POST feedback` */
  id: string;
  items: ISuggestion[];
  model: string;
  timings: ITimings;
  /** why there is nothing: `superseded`, `yielded`, `deadline` … */
  finish_reason?: string;
}

/** What went wrong. */
export interface IError {
  /** for programs, as `bad_request` or `model_missing` */
  code: string;
  /** the kind of error, as OpenAI and llama.cpp name it */
  type: string;
  /** the field of the request that is wrong */
  field: string | null;
  /** for a person: what to do next */
  message: string;
}

/** One line of a stream; the last is `done` and has the rest. */
export interface IFrame {
  /** names the answer in `POST feedback` */
  id: string;
  /** all of it so far, from the cursor that was sent */
  text: string;
  /** missing where there is an error */
  confidence?: number;
  done?: boolean;
  finish_reason?: string;
  model?: string;
  timings?: ITimings;
  error?: IError;
}

/** What became of a suggestion: counters only, no text. */
export interface IFeedback {
  /** of the answer */
  id: string;
  event: 'accepted' | 'dismissed' | 'shown';
  /** how many characters */
  chars: number;
}

/** Whether it can complete, and why not. */
export interface IHealth {
  /** as llama.cpp's server words it */
  status: 'error' | 'loading model' | 'ok';
  /** whether the model's thread is alive */
  live: boolean;
  /** whether a completion could begin at once */
  ready: boolean;
  phase: Phase;
  /** why the last model was not loaded, for programs */
  code: string | null;
  model: string;
  /** why it is not ready */
  reason: string | null;
  /** why another model, which was selected, could not be loaded */
  notice: string | null;
  /** how long the last completion took */
  last_ms: number | null;
}

/** Which model to load; `tuned` says whether with the adapters that are set for it. */
export interface ISelect {
  /** a name of the catalogue, a path or an address */
  model: string;
  /** null: as before */
  tuned?: boolean | null;
}

/** Which model to fetch; `mirrors` is the person's yes to sources other than its publisher. */
export interface IPull {
  /** a name of the catalogue, a path or an address */
  model: string;
  /** whether mirrors of its publisher's may be used */
  mirrors: boolean;
  /** whether to load it afterwards */
  select: boolean;
}

/** One line of a download; the last is `done`. */
export interface IStep {
  phase: 'done' | 'failed' | 'fetching' | 'verifying' | 'waiting';
  /** bytes */
  received?: number;
  /** bytes, where they are known */
  total?: number | null;
  source?: string;
  done?: boolean;
  error?: IError;
}

/** What a model was tuned with. */
export interface IAdapter {
  name: string;
  /** the only language it is used for; empty: all */
  language: string;
  /** whether it came with the package */
  ours: boolean;
}

/** A model of the catalogue, or a file of the person's own. */
export interface IModel {
  name: string;
  /** what to send as `model` */
  spec: string;
  /** bytes */
  size: number | null;
  /** whether the size is exact, not an estimate */
  counted: boolean;
  architecture: string;
  /** how it fills in the middle; `none`: not at all */
  fim: string;
  /** the checkpoint it is converted from here */
  checkpoint: string;
  licence: string;
  /** what it is good for */
  use: string;
  /** whether it is on the disk */
  stored: boolean;
  /** whether its digest was checked */
  verified: boolean;
  selected: boolean;
  adapters: IAdapter[];
  /** whether adapters are used */
  tuned: boolean;
  /** whether it is being downloaded */
  pulling: boolean;
  /** why the last download failed */
  failed: string | null;
  /** how far its download is */
  progress: IStep | null;
  /** whether `mirrors` would add a source */
  mirror: boolean;
  /** bytes it would take here */
  memory?: number;
  /** its estimated speed here */
  tokens_a_second?: number;
  /** how it would do here */
  verdict?: 'not supported' | 'recommended' | 'runs' | 'slow' | 'too large' | null;
}

/** What deleting a model's file has given back. */
export interface IRemoved {
  /** bytes */
  freed: number;
}
// [[[end]]]
