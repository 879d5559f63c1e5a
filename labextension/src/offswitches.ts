/** Switches that turn suggestions off: in a notebook, and all at once. */

import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';

/** Turbopilot's section of a notebook's metadata. */
const SECTION = 'turbopilot';

/** What the metadata of a notebook determine; an invalid value disables suggestions, too. */
export type NotebookSwitch = 'enabled' | 'disabled' | 'invalid';

/** The part of a notebook's model that holds its metadata. */
export type IMetadataModel = Pick<
  INotebookModel,
  'getMetadata' | 'setMetadata' | 'deleteMetadata' | 'metadataChanged'
>;

/** A refusal by the administrator's configuration. */
export interface IDenial {
  /** The kernel of the refused request; without one, the path itself is denied. */
  readonly kernel: string | null;
  /** The server's message. */
  readonly message: string;
  /** When it was received, in milliseconds. */
  readonly at: number;
}

/** Off switches of this page, beside the settings: none survives a reload. */
export interface ISwitches {
  /** Whether the user has stopped all suggestions. */
  readonly stopped: boolean;
  /** Paths of documents in which the user has paused suggestions. */
  readonly paused: ReadonlySet<string>;
  /** Documents for which the administrator does not allow suggestions, by path. */
  readonly denied: ReadonlyMap<string, IDenial>;
}

/** Return the switch of a notebook; a document that is not a notebook has none. */
export function switchOf(model: Pick<IMetadataModel, 'getMetadata'> | null): NotebookSwitch {
  const section: unknown = model?.getMetadata(SECTION);
  if (section === undefined) {
    return 'enabled';
  }
  if (typeof section !== 'object' || section === null || Array.isArray(section)) {
    return 'invalid';
  }
  const { enabled = true } = section as { enabled?: unknown };
  return typeof enabled !== 'boolean' ? 'invalid' : enabled ? 'enabled' : 'disabled';
}

/** Disable suggestions in a notebook, or enable them again. The notebook has to be saved to keep it. */
export function toggleSwitch(model: IMetadataModel): void {
  const section: unknown = model.getMetadata(SECTION);
  const kept: Record<string, unknown> =
    typeof section === 'object' && section !== null && !Array.isArray(section) ? { ...section } : {};
  if (switchOf(model) === 'enabled') {
    kept.enabled = false;
  } else {
    delete kept.enabled;
  }
  if (Object.keys(kept).length > 0) {
    model.setMetadata(SECTION, kept);
  } else {
    model.deleteMetadata(SECTION);
  }
}

/** Follows the switches of all notebooks, which collaborators and the metadata editor can change, too. */
export class SwitchFollower {
  /** `changed` is called for each notebook when it has been opened, and whenever its switch changes. */
  constructor(
    registry: Pick<DocumentRegistry, 'addWidgetExtension'>,
    private readonly _changed: (model: IMetadataModel, state: NotebookSwitch) => void
  ) {
    registry.addWidgetExtension('Notebook', {
      createNew: (_, context) => void context.ready.then(() => this._follow(context.model as INotebookModel))
    });
  }

  /** Return whether the metadata of a notebook have become invalid since the last call for it. */
  becameInvalid(model: IMetadataModel | null): boolean {
    return model !== null && this._invalid.delete(model);
  }

  private _follow(model: IMetadataModel): void {
    const check = (): void => {
      const state = switchOf(model);
      if (state !== this._states.get(model)) {
        this._states.set(model, state);
        this._invalid[state === 'invalid' ? 'add' : 'delete'](model);
        this._changed(model, state);
      }
    };
    model.metadataChanged.connect(check);
    check();
  }

  private readonly _states = new WeakMap<IMetadataModel, NotebookSwitch>();
  /** notebooks with invalid metadata, until `becameInvalid` */
  private readonly _invalid = new WeakSet<IMetadataModel>();
}
