/** The notebook index: its notification, its dialog, its deletion and its rebuild. */

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IClient } from './client';
import { type Notice, SHOWN } from './notice';
import type { Preferences } from './settings';
import type { ShownNotifications } from './shownnotifications';
import type { INotebookIndex } from './wire';
import { describeError } from './messages';

export class NotebookIndex {
  constructor(
    private readonly _client: Pick<IClient, 'deleteIndex' | 'buildIndex'>,
    private readonly _availability: Availability,
    private readonly _preferences: Preferences,
    private readonly _shown: ShownNotifications,
    private readonly _notice: Pick<Notice, 'brief'>,
    private readonly _page: { returnFocus(): void },
    private readonly _trans: TranslationBundle
  ) {
    let wasUsed = _preferences.current.notebookIndex;
    _preferences.changed.connect((_, { notebookIndex }) => {
      // Even if it is not known to be deleted: another page or server may have deleted it just now.
      const { health } = _availability.state;
      if (notebookIndex && !wasUsed && (!health || health.notebook_index)) {
        void this._request(() => this._client.buildIndex());
      }
      wasUsed = notebookIndex;
    });
  }

  /** The state of the index; `null` if the server keeps none. */
  get state(): INotebookIndex | null {
    return this._availability.state.health?.notebook_index ?? null;
  }

  /** Whether its setting is enabled. */
  get isUsed(): boolean {
    return this._preferences.current.notebookIndex;
  }

  /** The user has accepted a suggestion: show the notification once. */
  async accepted(): Promise<void> {
    const { state } = this;
    // The index contains the notebook of the suggestion, too.
    if (!state || state.error || state.files < 2 || !this.isUsed) {
      return;
    }
    if (!(await this._shown.note('notebook index'))) {
      return;
    }
    const trans = this._trans;
    // JupyterLab shows 140 characters; “More…” opens a dialog with the details.
    Notification.info(trans.__('Turbopilot also uses your notebooks. Their index stays on the server.'), {
      autoClose: SHOWN,
      actions: [
        { label: trans.__('OK'), callback: () => undefined },
        {
          label: trans.__('Stop Using the Index'),
          callback: () => {
            this._stop();
            void this._explain(state); // the server still keeps the index
          }
        },
        { label: trans.__('More…'), callback: () => void this._explain(state) }
      ]
    });
  }

  /** Ask for confirmation, then disable the setting and delete the index. */
  async confirmDeletion(): Promise<void> {
    const trans = this._trans;
    const { button } = await showDialog({
      title: trans.__('Delete Notebook Index'),
      body: trans.__(
        'This deletes the index of the notebooks and source files in %1 and disables “Suggest from my notebooks”. Your notebooks and files do not change. To build the index again, enable “Suggest from my notebooks”.',
        this.state?.root ?? ''
      ),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Delete Index') })],
      defaultButton: 0 // Enter cancels
    });
    if (button.accept && (await this._request(() => this._client.deleteIndex()))) {
      this._stop();
      this._notice.brief(trans.__('Turbopilot has deleted the notebook index.'));
    }
  }

  private _stop(): void {
    void this._preferences.change({ notebookIndex: false });
  }

  /** Show the dialog that explains the index. */
  private async _explain({ root, path }: INotebookIndex): Promise<void> {
    const trans = this._trans;
    const { isUsed } = this;
    const use = isUsed
      ? trans.__(
          'To stop using it, turn off “Suggest from my notebooks” in the settings; the index remains until you delete it.'
        )
      : trans.__(
          '“Suggest from my notebooks” is disabled in the settings. The index remains until you delete it.'
        );
    const stop = trans.__('Stop Using the Index');
    const remove = trans.__('Delete Index…');
    const { button } = await showDialog({
      title: trans.__('Notebook Index'),
      body: trans.__(
        'The index of the notebooks and source files in %1 lets the server suggest code that you wrote before. It is stored in %2, where only you can read it. %3 To disable indexing, set c.Turbopilot.notebook_index = False in the server’s configuration.',
        root,
        path,
        use
      ),
      buttons: [
        Dialog.warnButton({ label: remove }),
        ...(isUsed ? [Dialog.cancelButton({ label: stop })] : []),
        Dialog.okButton()
      ]
    });
    // Escape returns a cancel button with another label.
    if (button.label === stop) {
      this._stop();
    } else if (button.label === remove) {
      await this.confirmDeletion();
    }
    this._page.returnFocus();
  }

  /** Send a request about the index; return whether it succeeded. */
  private async _request(send: () => ReturnType<IClient['deleteIndex']>): Promise<boolean> {
    try {
      this._availability.reported(await send());
      return true;
    } catch (reason) {
      this._notice.brief(`Turbopilot: ${describeError(this._trans, reason)}`);
      return false;
    }
  }
}
