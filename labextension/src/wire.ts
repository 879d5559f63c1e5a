/* What the server is sent and what it answers. Generated from the server's schemas; `make docs` writes it anew.
[[[cog
import contract
print(contract.typescript())
]]] */
export type Phase =
  'empty' | 'loading' | 'ready' | 'generating' | 'unloaded' | 'reloading' | 'failed' | 'stopped';

/** A cell of the notebook, or a whole file. */
export interface ICell {
  id: string;
  type: 'code' | 'markdown' | 'raw';
  source: string;
  /** whether the cell has been run; null if unknown */
  executed?: boolean | null;
  /** last line of its traceback; used for the active cell only */
  error?: string | null;
}

/** Another open document, or the history of a terminal. */
export interface IOtherDocument {
  path: string;
  language: string;
  source: string;
}

/** A request for a notebook. */
export interface INotebookRequest {
  /** path of the notebook or file on the server */
  path: string;
  /** kernel of the notebook; its variables are used if the caller may execute code in it */
  kernel_id?: string | null;
  /** whether the metadata of the notebook allow suggestions; null: the server reads the saved notebook */
  enabled?: boolean | null;
}

/** A completion request: complete cell `active` at `offset`. */
export interface IRequest extends INotebookRequest {
  language: string;
  cells: ICell[];
  /** index of the cell with the cursor */
  active: number;
  /** cursor position in the active cell, in code points */
  offset: number;
  /** other open documents, or the history of a terminal */
  documents: IOtherDocument[];
  /** whether to use the index of the user's other notebooks and files */
  notebook_index: boolean;
  /** `automatic` while typing, `invoke` on request, `warmup` only to evaluate the notebook, `prefetch` to prefetch the completion after a suggestion */
  trigger: 'automatic' | 'invoke' | 'prefetch' | 'warmup';
  /** whether suggestions may have several lines */
  lines: 'auto' | 'multi' | 'single';
  /** how readily automatic suggestions are shown; null for the server's default */
  eagerness?: 'always' | 'balanced' | 'eager' | 'quiet' | null;
  /** whether to stream the response as JSON lines */
  stream: boolean;
  /** identifies the editor; a newer request cancels an older one of the same editor */
  client: string;
  /** number of the request, if the editor counts its requests; while a newer request is being answered, an older one that arrives late is superseded */
  sequence: number;
  /** number of suggestions */
  n: number;
  /** maximum length in tokens; null for the server's default */
  max_tokens?: number | null;
  /** maximum length in lines; null for 8 */
  max_lines?: number | null;
  /** 0 for the likeliest text */
  temperature: number;
  /** random seed for a temperature above 0; null for 0 */
  seed?: number | null;
}

/** A suggestion. */
export interface ISuggestion {
  text: string;
  /** estimated probability that the suggestion is right, from 0 to 1 */
  confidence: number;
  /** import lines that the text requires and the notebook lacks, each binding one name; missing if there are none */
  imports?: string[];
  /** the opening bracket, or bracket and quote, that very probably follows the text; an editor inserts it as if it was typed, and so may close the bracket; missing if there is none */
  opens?: string;
  /** the variable of the kernel whose column the text names at the cursor; missing if there is none */
  table?: string;
  /** the text was read from the kernel or its folder and not generated: send it only if it is accepted; missing if it was generated */
  read?: boolean;
  /** `stop`, `length` or `deadline` */
  finish_reason: string;
}

/** Time and tokens that a response took. Times are in milliseconds. */
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

/** A complete response; `items` is empty when there is nothing to suggest. */
export interface IAnswer {
  /** identifies this response in `POST feedback` */
  id: string;
  items: ISuggestion[];
  model: string;
  timings: ITimings;
  /** why `items` is empty: `superseded`, `yielded`, `deadline`, … */
  finish_reason?: string;
  /** why an automatic suggestion is not shown: the model is not confident, the text is not worth reading, it would not fit the code, it would use a name or a column that does not exist, or the model generated no text */
  hidden_reason?: 'invalid' | 'nothing' | 'short' | 'unknown_name' | 'unsure';
  /** do not cache this response: it may contain text from files that are not open, or the next response may differ */
  uncached?: boolean;
}

/** Details of an error. */
export interface IError {
  /** error code for programs, such as `bad_request` or `model_missing` */
  code: string;
  /** error type, with the names that OpenAI and llama.cpp use */
  type: string;
  /** field of the request that caused the error */
  field: string | null;
  /** message for the user, with advice */
  message: string;
  /** HTTP status of the error; in a stream, the response itself has the status 200 */
  status: number;
  /** seconds after which to try again, as in `Retry-After`; null: no retry is expected */
  retry_after: number | null;
}

/** One line of a streamed response. The last has `done: true`, the model and the timings. */
export interface IFrame {
  /** identifies this response in `POST feedback` */
  id: string;
  /** complete text so far, starting at the cursor of the request */
  text: string;
  /** missing if there is an error */
  confidence?: number;
  /** import lines that the text requires and the notebook lacks, each binding one name; missing if there are none */
  imports?: string[];
  /** the opening bracket, or bracket and quote, that very probably follows the text; an editor inserts it as if it was typed, and so may close the bracket; missing if there is none */
  opens?: string;
  /** the variable of the kernel whose column the text names at the cursor; missing if there is none */
  table?: string;
  /** the text was read from the kernel or its folder and not generated: send it only if it is accepted; missing if it was generated */
  read?: boolean;
  done?: boolean;
  finish_reason?: string;
  /** why an automatic suggestion is not shown: the model is not confident, the text is not worth reading, it would not fit the code, it would use a name or a column that does not exist, or the model generated no text */
  hidden_reason?: 'invalid' | 'nothing' | 'short' | 'unknown_name' | 'unsure';
  model?: string;
  timings?: ITimings;
  /** do not cache this response: it may contain text from files that are not open, or the next response may differ */
  uncached?: boolean;
  error?: IError;
}

/** A cell in a request for fixes, a rename or a check. */
export interface IFixCell {
  id: string;
  type: 'code' | 'markdown' | 'raw';
  /** null if the cell does not fit into the request; it keeps its position */
  source?: string | null;
  /** number of its last execution; null if it has not been run */
  execution_count?: number | null;
  /** whether it has been edited since its last execution; null if unknown */
  changed: boolean | null;
}

/** The error output of a cell, without ANSI escape sequences and HTML. */
export interface IErrorOutput {
  /** class of the exception */
  name: string;
  message: string;
  /** its lines; at most 64 KiB in all */
  traceback: string[];
}

/** A request for edits of a notebook. */
export interface IEditRequest extends INotebookRequest {
  /** only Python is supported */
  language: string;
  /** all cells */
  cells: IFixCell[];
  /** identifies the notebook's view */
  client: string;
}

/** A request for fixes for the error of a cell. */
export interface IFixRequest extends IEditRequest {
  /** index of the failed cell */
  failed: number;
  error: IErrorOutput;
}

/** A replacement in a cell, in code points. */
export interface IEdit {
  /** index of the cell in the request */
  cell: number;
  /** start of the replaced text, in code points */
  start: number;
  /** end of the replaced text, in code points */
  end: number;
  /** the replaced text; do not apply the edit if the cell differs */
  old: string;
  /** the new text */
  text: string;
}

/** A code cell to insert. It is not executed. */
export interface IInsertedCell {
  /** index of the cell in the request above which to insert it */
  before: number;
  source: string;
}

/** A fix for an error. */
export interface IFix {
  /** the question to the user, such as `Did you mean 'revenue_eur'?` */
  title: string;
  /** where the fix was found */
  source: 'api' | 'files' | 'imports' | 'kernel' | 'notebook' | 'syntax';
  /** estimated probability that the fix is right */
  confidence: number;
  edits: IEdit[];
  /** a cell to insert */
  insert?: IInsertedCell | null;
  /** indices of the cells that *Apply and Run* executes, in this order */
  run: number[];
}

/** The fixes for an error, best first: at most three. */
export interface IFixes {
  /** identifies this response in `POST feedback` */
  id: string;
  fixes: IFix[];
}

/** A request for the names in a cell that the kernel shows not to exist. */
export interface ICheckRequest extends IEditRequest {
  /** index of the cell to check */
  active: number;
}

/** A name, a file or a value in the checked cell that does not exist. */
export interface IFinding {
  /** start of the name in the cell, in code points */
  start: number;
  /** end of the name, in code points */
  end: number;
  /** message for the user, with names between backticks */
  message: string;
  /** the nearest name or a missing import, if there is one: at most one fix */
  fixes: IFix[];
}

/** What does not exist of the names in a cell, in the order of the text: at most ten findings. */
export interface IFindings {
  /** identifies this response in `POST feedback` */
  id: string;
  findings: IFinding[];
  /** whether the kernel has not answered, so that earlier findings may still hold */
  unanswered: boolean;
}

/** A request for the other uses of a name that the user has changed at its binding. */
export interface IRenameRequest extends IEditRequest {
  /** index of the edited cell */
  active: number;
  /** source of the edited cell before the edit */
  before: string;
}

/** The edits that rename the other uses of a name; `edits` is empty if there is nothing to offer. */
export interface IRenameEdits {
  /** identifies this response in `POST feedback` */
  id: string;
  /** the offer, such as `Rename 7 uses of 'a' to 'b' in 3 cells?` */
  title: string;
  edits: IEdit[];
  /** indices of the cells to run afterwards, because the kernel still has the old name */
  run: number[];
}

/** An earlier edit of a cell. */
export interface IEditedCell {
  /** index of the cell */
  cell: number;
  /** its source before the edit */
  before: string;
  /** its source after the edit; it may have changed since */
  after: string;
}

/** A request for the other occurrences of the code that the user's last edits changed. */
export interface IRepeatRequest extends IRenameRequest {
  /** an earlier edit like the last one; null: the kernel must show that the old code is wrong */
  earlier?: IEditedCell | null;
}

/** The edits of the other occurrences of edited code; `edits` is empty if there is nothing to offer. */
export interface IRepeatEdits {
  /** identifies this response in `POST feedback` */
  id: string;
  /** the offer to the user, such as `Change 3 more occurrences?` */
  title: string;
  /** one for each occurrence; each may be applied without the others */
  edits: IEdit[];
}

/** The outcome of a suggestion, a fix, a rename or a repeated edit, without text. */
export interface IFeedback {
  /** `id` of the response */
  id: string;
  /** `accepted`: all of it or a part was accepted; `dismissed`: it was hidden, or the cursor left it; `typed_over`: the user typed it, or something else; `executed`: how much of it remains when its cell is executed next; `retained`: how much of it remains after half a minute of typing, again after five minutes, or when the page is closed; `applied`: the user applied a fix, a rename or a repeated edit; `undone`: and then undid it. The server only counts `shown`, `applied`, `dismissed` and `undone` of these */
  event: 'accepted' | 'applied' | 'dismissed' | 'executed' | 'retained' | 'shown' | 'typed_over' | 'undone';
  /** number of its characters in the document, typed or accepted; of `shown`: its length */
  chars: number;
  /** its length at that time, as more may have been on its way; 0: all that was sent */
  length: number;
  /** of `accepted`: number of its characters in the document before */
  before: number;
  /** seconds since it was shown; of `executed` and `retained`: since it was accepted. Only listeners use it, such as the usage log */
  seconds: number;
}

/** The notebook index. */
export interface INotebookIndex {
  /** whether the server is adding files */
  building: boolean;
  /** number of notebooks and files in the index */
  files: number;
  /** number of notebooks and files found so far */
  found: number;
  /** why the server adds no files now: a kernel is busy, or the machine is on battery */
  paused: 'battery' | 'kernel' | null;
  /** the indexed folder */
  root: string;
  /** path of the index file */
  path: string;
  /** why there is no index although the settings allow it */
  error: string | null;
}

/** Suggestions since Monday. */
export interface IWeek {
  /** how many appeared automatically */
  shown: number;
  /** how many of these were accepted */
  accepted: number;
  /** keystrokes saved: characters inserted, minus one for each acceptance */
  saved: number;
  /** share of the accepted characters that were still there when their cell was executed next; null: none was executed */
  retained: number | null;
}

/** The usage log of suggestion outcomes. */
export interface IUsageLog {
  /** whether the log contains the text of suggestions, not only numbers */
  text: boolean;
  /** path of the log; null if you may not manage this server */
  file: string | null;
  /** why the server cannot write the log now */
  error: string | null;
}

/** State of the server and its model. */
export interface IHealth {
  /** the values that llama.cpp's server uses */
  status: 'error' | 'loading model' | 'ok';
  /** whether the model's thread is running */
  live: boolean;
  /** whether a completion can start immediately */
  ready: boolean;
  phase: Phase;
  /** error code of the last failed load */
  code: string | null;
  /** the loaded model, or the selected one */
  model: string;
  /** why the server is not ready */
  reason: string | null;
  /** shell command that installs what is missing */
  command: string | null;
  /** the remote host that code is sent to; null: the model runs on this machine */
  address: string | null;
  /** why another model could not be loaded, what this engine does not support, or why the completion cache is not stored in a file */
  notice: string | null;
  /** whether the server does less for each user because other users wait: suggestions may be slower, shorter or missing */
  busy?: boolean;
  /** message if the machine is slow, with a model that fits it; null: it is fast enough, or the speed is unknown */
  slow?: string | null;
  /** duration of the last completion in milliseconds */
  last_ms: number | null;
  /** whether the server suggests fixes, renames and repeated edits */
  fixes?: boolean;
  /** the notebook index; null: there is none, or you may not see it */
  notebook_index: INotebookIndex | null;
  /** this week's suggestions; null if the server does not count yours */
  week: IWeek | null;
  /** the usage log; null if there is none of the caller's suggestions */
  usage_log: IUsageLog | null;
}

/** The model that a request refers to. */
export interface ISelect {
  /** name from the catalogue, path or URL */
  model: string;
  /** whether to use its adapters; null to keep the current choice */
  adapters_enabled?: boolean | null;
}

/** A request to download a model. */
export interface IPull {
  /** name from the catalogue, path or URL */
  model: string;
  /** whether sources other than the publisher may be used */
  mirrors: boolean;
  /** whether to load the model afterwards */
  select: boolean;
}

/** One line of download progress. The last has `done: true`. */
export interface IProgress {
  phase: 'done' | 'downloading' | 'failed' | 'verifying' | 'waiting';
  /** bytes received */
  received?: number;
  /** total size in bytes, if known */
  total?: number | null;
  /** source of the file */
  source?: string;
  done?: boolean;
  error?: IError;
}

/** A LoRA adapter of a model. */
export interface IAdapter {
  name: string;
  /** whether it ships with the package */
  bundled: boolean;
}

/** A model from the catalogue, or a local file. */
export interface IModel {
  name: string;
  /** value for `model` in requests */
  spec: string;
  /** file size in bytes */
  size: number | null;
  /** whether `size` is exact rather than estimated */
  exact_size: boolean;
  architecture: string;
  /** fill-in-the-middle format; `none` if not supported */
  fim: string;
  /** Hugging Face checkpoint that it is converted from on this machine, if any */
  checkpoint: string;
  licence: string;
  /** intended use */
  use: string;
  /** share of keystrokes saved at `balanced`; null if it was not measured */
  saved: number | null;
  /** whether its file is on disk and not known to be damaged */
  stored: boolean;
  /** whether its checksum was verified */
  verified: boolean;
  /** whether it is the model in use */
  selected: boolean;
  adapters: IAdapter[];
  /** whether adapters are enabled */
  adapters_enabled: boolean;
  /** whether it is being downloaded */
  pulling: boolean;
  /** whether its tuned copy is being made in the background */
  copying?: boolean;
  /** why the last download failed */
  failed: string | null;
  /** progress of a running download */
  progress: IProgress | null;
  /** whether allowing mirrors adds a source */
  mirror: boolean;
  /** whether mirrors are its only source, and are not allowed yet */
  mirror_only?: boolean;
  /** whether its file on disk is damaged */
  damaged?: boolean;
  /** size of the unfinished download in bytes, or null */
  received?: number | null;
  /** whether it may be deleted; false for the user's own files */
  removable?: boolean;
  /** estimated memory on this machine, in bytes */
  memory?: number;
  /** estimated speed on this machine, in tokens per second */
  tokens_per_second?: number;
  /** assessment for this machine */
  verdict?: 'recommended' | 'runs' | 'slow' | 'too large' | 'with transformers' | null;
  /** for the model in use: message that offers a GPU that is not used */
  gpu_offer?: string;
}

/** Result of deleting a model's files. */
export interface IRemoved {
  /** disk space freed, in bytes */
  freed: number;
}
// [[[end]]]
