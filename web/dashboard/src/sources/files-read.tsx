// The files of a source: format, roles of the columns, and the listings of the first rows.
import { useEffect } from "react";
import { useQuery } from "../api/query";
import { Problem } from "../ui/notes";
import { Ago, Change, Money, Nothing, Price } from "../ui/values";
import { exactTime } from "../format/time";
import { counts, type File, notesOf, SourceFiles, unusedColumns } from "./files";

/** `stamp` changes when a run of a file source ends. */
export function FilesRead({ stamp }: { stamp: string }) {
  const { data, error, reload } = useQuery(SourceFiles, {});
  useEffect(reload, [stamp, reload]);
  if (data === null) return error === null ? null : <Problem error={error} retry={reload} />;
  return (
    <>
      {data.sources
        .filter((source) => source.kind === "FILE")
        .map(({ name, files }) => (
          <section key={name} className="card" aria-labelledby={`files-${name}`}>
            <div className="card-head">
              <h2 id={`files-${name}`}>Files of {name}</h2>
              {files.length > 0 && (
                <p className="faint small">The most recent files, as kasparro check shows them</p>
              )}
            </div>
            {files.length === 0 && <p className="card-note faint">No file has been read yet.</p>}
            {files.map((file, index) => (
              <FileRead key={file.name} file={file} isOpen={index === 0} />
            ))}
          </section>
        ))}
    </>
  );
}

function FileRead({ file, isOpen }: { file: File; isOpen: boolean }) {
  const notes = notesOf(file);
  const unused = unusedColumns(file);
  return (
    <details className="file" open={isOpen}>
      <summary>
        <strong className="file-name">{file.name}</strong>
        <span className={file.rejected > 0 ? "warn" : "faint"}>{counts(file)}</span>
        <span className="faint">
          read <Ago instant={file.readAt} />
        </span>
      </summary>
      <p className="faint file-line">{file.form}</p>
      <Columns file={file} />
      {unused !== null && (
        <p className="file-line">
          <span className="faint">Not read:</span> {unused}
        </p>
      )}
      {notes.length > 0 && (
        <ul className="file-notes">
          {notes.map(({ text, times }) => (
            <li key={text}>
              {text} {times && <span className="faint">({times})</span>}
            </li>
          ))}
        </ul>
      )}
      <FirstRows file={file} />
    </details>
  );
}

function Columns({ file }: { file: File }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={`Columns of ${file.name}`}>
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">Read as</th>
            <th scope="col">Column</th>
            <th scope="col">How</th>
          </tr>
        </thead>
        <tbody>
          {file.columns.map(({ role, header, how }) => (
            <tr key={role}>
              <th scope="row">{role.replaceAll("_", " ")}</th>
              <td>{header ?? <Nothing />}</td>
              <td className="faint how">{how}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function FirstRows({ file }: { file: File }) {
  if (file.firstListings.length === 0) return null;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={`First rows of ${file.name}`}>
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">First rows</th>
            <th scope="col">Name</th>
            <th scope="col" className="number">
              Price
            </th>
            <th scope="col" className="number">
              24h
            </th>
            <th scope="col" className="number">
              Market cap
            </th>
            <th scope="col" className="number">
              Volume 24h
            </th>
            <th scope="col">Observed</th>
          </tr>
        </thead>
        <tbody>
          {file.firstListings.map((listing, index) => (
            <tr key={index}>
              <th scope="row">{listing.ticker}</th>
              <td>{listing.name ?? <Nothing />}</td>
              <td className="number">
                <Price value={listing.priceUsd} />
              </td>
              <td className="number">
                <Change value={listing.percentChange24h} />
              </td>
              <td className="number">
                <Money value={listing.marketCapUsd} />
              </td>
              <td className="number">
                <Money value={listing.volume24hUsd} />
              </td>
              <td>
                <time dateTime={listing.observedAt}>{exactTime(listing.observedAt)}</time>
                {!listing.hasOwnTime && <span className="faint"> (file time)</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
