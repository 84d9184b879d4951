// What an admin has written: endpoint files, and the store that they name versions of. It is read
// whole, together with all that is wrong with it.

import Bytes
package import Deployments
import Digest
import Endpoints
import Platform

/// The folder of endpoint files and the store.
package struct ConfigurationFiles: Sendable {
    let folder: EndpointFolder
    let store: DeploymentStore

    package init(endpointsFolder: String, store: DeploymentStore) {
        folder = EndpointFolder(path: endpointsFolder)
        self.store = store
    }

    /// What was read.
    struct Reading {
        var contents: EndpointFolder.Contents
        /// Tells these files from other ones.
        let hash: String
    }

    /// Reads everything, and understands nothing of it yet.
    func readTexts() -> Reading {
        let contents = folder.readTexts()
        return Reading(contents: contents, hash: hash(contents))
    }

    /// Understands what was read.
    func understood(_ reading: Reading) -> Reading {
        var reading = reading
        folder.understand(&reading.contents)
        return reading
    }

    /// Reads everything, and understands it.
    func read() -> Reading { understood(readTexts()) }

    /// What tells the files from other ones: what endpoints say, which versions are stored, what is
    /// said of deployments.
    package func hash() -> String { readTexts().hash }

    private func hash(_ contents: EndpointFolder.Contents) -> String {
        var hash = SHA256()
        for text in contents.texts {
            hash.update("\(text.name) \(text.text.utf8.count)\n\(text.text)")
        }
        // What cannot be read makes another state too.
        for error in contents.errors { hash.update("error \(error)\n") }
        do {
            hash.update("store\n\(try store.listing())")
        } catch {
            hash.update("store cannot be read: \(error)")
        }
        return hash.finishText()
    }

    /// The endpoints of a revision, from its own texts.
    func endpoints(of revision: Revision, _ errors: inout [String]) -> [Endpoint] {
        revision.endpoints.compactMap { folder.parse($0, &errors) }
    }

    /// A stored revision as a state; what of it cannot be read any more is left out.
    package func configuration(of revision: Revision) -> HostConfiguration {
        var errors: [String] = []
        return HostConfiguration(
            endpoints: endpoints(of: revision, &errors),
            liveWeights: revision.liveWeights,
            versions: revision.versions,
            rollbackOf: revision.rollbackOf,
            disabled: revision.disabled
        )
    }

    // MARK: Resolving

    /// Finds what the endpoints name, each reference once; errors show the place in the file.
    func resolveNamed<Found>(
        _ endpoints: [Endpoint],
        _ texts: [Revision.EndpointText],
        _ errors: inout [String],
        _ find: (DeploymentReference) throws(DeploymentError) -> Found
    ) -> [(reference: DeploymentReference, found: Found)] {
        var resolved: [(reference: DeploymentReference, found: Found)] = []
        var seen: Set<DeploymentReference> = []
        for endpoint in endpoints {
            for split in endpoint.splits {
                guard case .deployment(let reference) = split.backend,
                    seen.insert(reference).inserted
                else { continue }
                do {
                    resolved.append((reference, try find(reference)))
                } catch {
                    errors.append(folder.place(of: split, endpoint, texts, error))
                }
            }
        }
        return resolved
    }

    /// Finds what can be called without an endpoint: every alias, and `latest` of every deployment.
    /// An alias that cannot be had is an error; a `latest` is not: nobody has asked for it by
    /// anything but its being there.
    func resolveDirect<Found>(
        except known: [DeploymentReference],
        unloaded: [String] = [],
        _ errors: inout [String],
        _ warn: (DeploymentReference, String) -> Void,
        _ find: (DeploymentReference) throws(DeploymentError) -> Found
    ) -> [(reference: DeploymentReference, found: Found)] {
        var resolved: [(reference: DeploymentReference, found: Found)] = []
        var seen = Set(known)
        let callable = store.callable()
        errors += callable.errors
        for reference in callable.references
        where !unloaded.contains(reference.deployment)
            && seen.insert(reference).inserted
        {
            do {
                resolved.append((reference, try find(reference)))
            } catch {
                if reference.version == .latest {
                    warn(reference, "\(error)")
                } else {
                    let name = reference.deployment
                    errors.append("alias '\(reference.version)' of \(name): \(error)")
                }
            }
        }
        return resolved
    }
}

/// What is to become of the host, before anything of it is loaded.
struct Proposal {
    /// Sorted by name, with the files' weights.
    var endpoints: [Endpoint]
    var texts: [Revision.EndpointText]
    var liveWeights: [LiveWeights]
    /// Which builds are wanted; nil: what the references stand for now.
    var pins: [Revision.ResolvedVersion]?
    /// The hash of the files that it was made from, or that were overruled.
    var files: String
    var rollbackOf: Int?
    /// See `Revision.disabled`.
    var disabled: [String]
    /// A deployment to be loaded again that the pins do not have, as `branch/name`.
    var loads: String?
    /// What rollbacks have put aside.
    var heldBack: [Pin] = []
    /// What movable names stand for that are held; nil: they stand for nothing.
    var heldVersions: [DeploymentReference: Revision.ResolvedVersion?] = [:]
    /// What was left out, and what else there is to say of the pins.
    var leftOut: [StateChange] = []
    var notes: [StateChange] = []
    var frozen: Freeze?
    /// Whether it is what the files say.
    var isOfFiles: Bool { pins == nil }
    /// What is wrong already.
    var errors: [String] = []

    /// What the files say.
    init(
        _ files: ConfigurationFiles.Reading,
        liveWeights: [LiveWeights],
        disabled: [String] = []
    ) {
        let names = Set(files.contents.endpoints.map(\.name))
        // An endpoint that is gone is forgotten; a deployment that an endpoint names is loaded.
        let used = Set(files.contents.endpoints.flatMap(\.deployments))
        self.disabled = disabled.filter {
            $0.contains("/") ? !used.contains($0) : names.contains($0)
        }
        endpoints = files.contents.endpoints
        texts = files.contents.texts
        errors = files.contents.errors
        self.files = files.hash
        self.liveWeights = liveWeights
    }

    /// What the files say, with what pins keep away.
    init(_ held: ConfigurationFiles.Held, liveWeights: [LiveWeights], disabled: [String]) {
        self.init(held.reading, liveWeights: liveWeights, disabled: disabled)
        heldBack = held.pins
        heldVersions = held.versions
        (leftOut, notes) = (held.leftOut, held.ended)
    }

    /// What a revision was.
    init(_ revision: Revision, _ endpoints: [Endpoint]) {
        self.endpoints = endpoints
        texts = revision.endpoints
        liveWeights = revision.liveWeights
        pins = revision.versions
        files = revision.files
        rollbackOf = revision.rollbackOf
        disabled = revision.disabled
        heldBack = revision.pins
        frozen = revision.frozen
    }

    /// What is live.
    init(_ current: Committed) {
        self.init(current.revision, current.configuration.endpoints)
    }
}
