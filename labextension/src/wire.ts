/** What the server is sent and what it answers: the JSON of its routes. */

export interface ICell {
  id: string;
  type: 'code' | 'markdown' | 'raw';
  source: string;
  executed: boolean | null;
  /** The last line of what it failed with, of the active cell alone. */
  error?: string | null;
}

export interface IOtherDocument {
  path: string;
  language: string;
  source: string;
}

export interface IRequest {
  path: string;
  language: string;
  kernel_id: string | null;
  cells: ICell[];
  active: number;
  offset: number;
  extra: IOtherDocument[];
  trigger: 'automatic' | 'invoke' | 'warm' | 'ahead';
  lines: 'auto' | 'single' | 'multi';
  eagerness: 'quiet' | 'balanced' | 'eager' | 'always' | null;
  stream: boolean;
  client: string;
  n: number;
  max_tokens: number | null;
  temperature: number;
}

export interface IFrame {
  id: string;
  text: string;
  done?: boolean;
  finish_reason?: string;
  timings?: { total_ms: number };
  error?: IError;
}

export interface IAnswer {
  id: string;
  items: { text: string; confidence: number }[];
}

export interface IError {
  code: string;
  field: string | null;
  message: string;
}

export type Phase = 'empty' | 'loading' | 'ready' | 'thinking' | 'asleep' | 'waking' | 'failed' | 'stopped';

export interface IHealth {
  live: boolean;
  ready: boolean;
  phase: Phase;
  code: string | null;
  model: string;
  reason: string | null;
  notice: string | null;
  last_ms: number | null;
}

export interface IModel {
  name: string;
  spec: string;
  size: number | null;
  licence: string;
  use: string;
  stored: boolean;
  verified: boolean;
  selected: boolean;
  pulling: boolean;
  progress: IStep | null;
  /** Why the last download came to nothing. */
  failed?: string | null;
  mirror: boolean;
  counted: boolean;
  fim: string;
  checkpoint: string;
  memory?: number;
  tokens_a_second?: number;
  verdict?: string | null;
  adapters?: IAdapter[];
  tuned?: boolean;
}

/** What a model was tuned to; `ours` came with us. */
export interface IAdapter {
  name: string;
  language: string;
  ours: boolean;
}

export interface IStep {
  phase: string;
  received?: number;
  total?: number | null;
  source?: string;
  done?: boolean;
  error?: IError;
}
